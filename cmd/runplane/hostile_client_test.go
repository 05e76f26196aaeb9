//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/runplane/runplane/schemas"
)

// hostilePatience is how long an answer may take that should come at once, on a busy machine.
const hostilePatience = time.Minute

var (
	errGone   = errors.New("the program has ended")
	errSilent = fmt.Errorf("no answer within %s", hostilePatience)
)

// life is one run of the program on stdio, in a box. Its client is strict: every line must be UTF-8 and JSON.
type life struct {
	t     *testing.T
	cmd   *exec.Cmd
	box   *box
	in    io.WriteCloser
	log   *output
	ended chan struct{} // closed when the process is gone and all it wrote is read
	write sync.Mutex

	mu         sync.Mutex
	last       int
	waiting    map[string]chan answer // by the id of the request
	unreadable []string
}

type answer struct {
	Result struct {
		Content []struct{ Text string }
		IsError bool
		Value   json.RawMessage `json:"structuredContent"`
	}
	Error *struct {
		Code    int
		Message string
	}
}

// begin starts the program in a folder with a configuration and waits until it answers.
func begin(t *testing.T, b *box, dir string) (*life, error) {
	l := &life{t: t, box: b, log: &output{}, ended: make(chan struct{}), waiting: map[string]chan answer{}}
	l.cmd = b.command(filepath.Join(bin, "runplane"), "serve")
	l.cmd.Dir = dir
	l.cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME=", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	l.cmd.Stderr = l.log
	in, err := l.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.in = in
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		l.read(out)
		_ = l.cmd.Wait() // the test knows how it is to end
		close(l.ended)
	}()
	go b.watch(l.cmd.Process, l.ended)
	t.Cleanup(l.kill)
	_, err = l.request("initialize", object{"protocolVersion": "2025-11-25", "capabilities": object{}, "clientInfo": object{"name": "hostile", "version": "1"}})
	if err == nil {
		err = l.send([]byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`))
	}
	return l, err
}

// kill ends the program as a crash would.
func (l *life) kill() {
	_ = l.cmd.Process.Kill() // it may have ended by itself
	<-l.ended
}

func (l *life) read(out io.Reader) {
	lines := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 && err == nil {
			l.receive(line)
		}
		if err != nil { // the rest of a line that was cut off by the end
			return
		}
	}
}

func (l *life) receive(line []byte) {
	var m struct {
		ID     json.RawMessage
		Method string
		answer
	}
	problem := ""
	if !utf8.Valid(line) {
		problem = "not UTF-8"
	} else if err := json.Unmarshal(line, &m); err != nil {
		problem = err.Error()
	} else if n := unreadableNumber(line); n != "" {
		problem = "the number " + n
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if problem != "" {
		l.unreadable = append(l.unreadable, problem+": "+shortened(string(bytes.ToValidUTF8(line, []byte("\uFFFD"))), 400))
	}
	if waiting := l.waiting[string(m.ID)]; waiting != nil && m.Method == "" {
		delete(l.waiting, string(m.ID))
		waiting <- m.answer
	}
}

// unreadableNumber is a number in a text of JSON that is beyond a double.
func unreadableNumber(text []byte) string {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		if n, ok := token.(json.Number); ok {
			if _, err := strconv.ParseFloat(string(n), 64); err != nil {
				return shortened(string(n), 40)
			}
		}
	}
}

func (l *life) send(line []byte) error {
	l.write.Lock()
	defer l.write.Unlock()
	_, err := l.in.Write(append(line, '\n'))
	if err != nil {
		return errGone
	}
	return nil
}

// ask sends a request; the answer comes on the channel.
func (l *life) ask(method string, params any) (<-chan answer, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	id, waiting := l.expect()
	return waiting, l.send(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, method, body))
}

// expect registers the next id of a request.
func (l *life) expect() (id string, waiting <-chan answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	c := make(chan answer, 1)
	l.waiting[strconv.Itoa(l.last)] = c
	return strconv.Itoa(l.last), c
}

func (l *life) await(c <-chan answer) (answer, error) {
	select {
	case a := <-c:
		return a, nil
	case <-l.ended:
		select {
		case a := <-c: // it came before the end
			return a, nil
		default:
			return answer{}, errGone
		}
	case <-time.After(hostilePatience):
		return answer{}, errSilent
	}
}

func (l *life) request(method string, params any) (answer, error) {
	c, err := l.ask(method, params)
	if err != nil {
		return answer{}, err
	}
	return l.await(c)
}

// tool calls a tool; a *schemas.Error is its refusal.
func (l *life) tool(name string, arguments, result any) error {
	c, err := l.ask("tools/call", object{"name": name, "arguments": arguments})
	if err != nil {
		return err
	}
	a, err := l.await(c)
	if err != nil {
		return err
	}
	return a.into(result)
}

// into decodes the result of a tool.
func (a *answer) into(result any) error {
	if a.Error != nil {
		return fmt.Errorf("protocol error %d: %s", a.Error.Code, a.Error.Message)
	}
	if a.Result.IsError {
		var wrapped struct{ Error *schemas.Error }
		if len(a.Result.Content) == 0 || json.Unmarshal([]byte(a.Result.Content[0].Text), &wrapped) != nil || wrapped.Error == nil {
			return fmt.Errorf("an error without a code: %+v", a.Result.Content)
		}
		return wrapped.Error
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(a.Result.Value, result)
}

// garbled takes the lines that could not be read.
func (l *life) garbled() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.unreadable
	l.unreadable = nil
	return lines
}

func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
