//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// soakWorld is the program with its realms, and the results that its clients got.
type soakWorld struct {
	t       *testing.T
	s       *served
	dir     string
	mark    string    // in the environment of all that realms start
	web     *upstream // shop over HTTP, which goes and comes
	liarWeb *upstream
	more    string // realms of a hostile soak

	ordinary ordinaryWork // of a hostile soak

	mu      sync.Mutex
	serial  int
	deck    []*soakShape        // what is submitted next
	ended   map[string]int      // executions by shape
	called  map[string]int      // direct calls by what they are
	struck  map[string]int      // faults by name
	retried map[string]int      // by key: how often a retry was decided
	decided map[string]int      // decisions about held nodes, by why and what
	due     map[string][]string // by realm: keys of once calls that must have happened
	slowest map[string]slowest  // executions by shape
	broken  []string
}

type slowest struct {
	took time.Duration
	id   string
}

// soakRealms is the configuration: every policy is on, and each realm fails in its own way. The verbs are the folder for ledgers,
// the mark, the URLs of web and of the liar, and further configuration.
const soakRealms = `
store: "file:store"
limits: {start_timeout: 2s, max_message_bytes: 16777216, probe_every: 5s, principal: {calls: 1000000, per: 1m}, session: {calls: 20}}
mcpServers:
  shop: {command: shop, args: [-ledger, %[1]s/shop.ledger], env: {MARK: %[2]s}}
  flap: {command: shop, args: [-ledger, %[1]s/flap.ledger, -delay, 150ms], env: {MARK: %[2]s}}
  web: {url: %[3]s/mcp}
  moody: {command: flaky, env: {MARK: %[2]s}}
  doomed: {command: flaky, args: [-ignore-term], env: {MARK: %[2]s}}
  deaf: {command: flaky, env: {MARK: %[2]s}}
  stuck: {command: flaky, env: {MARK: %[2]s}}
  flood: {command: flaky, env: {MARK: %[2]s}}
  torrent: {command: flaky, env: {MARK: %[2]s}}
  slow: {command: slow, env: {MARK: %[2]s}}
  liar: {command: liar, env: {MARK: %[2]s}}
  liarweb: {url: %[4]s/mcp}
  liarsse: {type: sse, url: %[4]s/sse}
  hung: {command: slow, args: [-hang-at-initialize], env: {MARK: %[2]s}}
  absent: {command: no-such-command}
%[5]s
policies:
  default:
    timeout: 60s
    retry: {max_attempts: 2, initial_interval: 50ms, max_interval: 200ms}
    breaker: {failures: 5, open_for: 500ms}
    concurrency: 24
    concurrency_wait: 500ms
    rate_limit: {rate: 500, burst: 100}
  realms:
    shop: {capabilities: {get_order: {cache_ttl: 300ms, stale_if_error: 10s}}}
    flap: {retry: {max_attempts: 100, initial_interval: 20ms, max_interval: 500ms}}
    web:
      retry: {max_attempts: 100, initial_interval: 20ms, max_interval: 500ms}
      capabilities: {get_order: {cache_ttl: 50ms, stale_if_error: 1s, retry: {max_attempts: 2}, fallback: [{capability: shop.get_order}]}}
    moody: {effect: read}
    doomed: {effect: read, fallback: [{value: {served: instead}}]}
    deaf: {effect: read, timeout: 1s}
    stuck: {timeout: 300ms, breaker: {failures: 0}}
    flood: {effect: read, concurrency: 1, concurrency_wait: 10s}
    torrent: {effect: read, concurrency: 1}
    slow: {concurrency: 6, rate_limit: {rate: 300, burst: 20}}
    liar: {effect: read, timeout: 1s}
    liarweb: {effect: read, timeout: 1s, drift: allow_compatible}
    liarsse: {effect: read, timeout: 1s, drift: allow_compatible}
`

// ready are the realms that work until a fault is injected.
var ready = []string{"shop", "flap", "web", "moody", "doomed", "deaf", "stuck", "flood", "torrent", "slow", "liar", "liarweb", "liarsse"}

func newSoakWorld(t *testing.T, seed uint64, hostile bool) *soakWorld {
	w := &soakWorld{
		t: t, dir: t.TempDir(), mark: fmt.Sprint("soak-", seed), ended: map[string]int{}, called: map[string]int{}, struck: map[string]int{}, decided: map[string]int{}, retried: map[string]int{}, due: map[string][]string{}, slowest: map[string]slowest{},
	}
	w.web = startUpstream(t, "shop", "-http", "127.0.0.1:0", "-ledger", w.ledger("web"), "-delay", "150ms")
	w.liarWeb = startUpstream(t, "liar", "-http", "127.0.0.1:0")
	command := exec.Command
	if hostile {
		command = newBox(t, 3*hostileMost<<10).command // with all realms; whatever happens, the machine survives it
		w.more = fmt.Sprintf(hostileRealms, w.mark, startUpstream(t, "liar", "-http", "127.0.0.1:0", "-hostile").url)
	}
	w.s = serveBy(t, command, w.config(""), "GOGC=25") // early collection, so that the memory is that of live objects
	for _, realm := range ready {
		must[json.RawMessage](t)(w.s.invoke(realm, "echo", args{"msg": "hello"}))
	}
	return w
}

func (w *soakWorld) config(more string) string {
	return fmt.Sprintf(soakRealms, w.dir, w.mark, w.web.url, w.liarWeb.url, w.more+more)
}

// ledger is the ledger of a realm that is a shop.
func (w *soakWorld) ledger(realm string) string { return filepath.Join(w.dir, realm+".ledger") }

// pids are the processes that run with these words in their command line.
func (w *soakWorld) pids(words *regexp.Regexp) (all []int) {
	for pid, line := range below(w.s.cmd.Process.Pid, w.mark) {
		if words.MatchString(line) {
			all = append(all, pid)
		}
	}
	return all
}

// wrong records a violation.
func (w *soakWorld) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

func (w *soakWorld) count(in map[string]int, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in[name]++
}

// upstream is a realm over HTTP that the test starts and ends.
type upstream struct {
	t    *testing.T
	args []string
	url  string
	cmd  *exec.Cmd
}

var servesAt = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)

// startUpstream starts a sample server; the word 127.0.0.1:0 among its arguments becomes the address that it got.
func startUpstream(t *testing.T, command string, args ...string) *upstream {
	u := &upstream{t: t, args: append([]string{command}, args...)}
	u.start()
	t.Cleanup(u.kill)
	return u
}

// start returns when it listens.
func (u *upstream) start() {
	u.cmd = exec.Command(filepath.Join(bin, u.args[0]), u.args[1:]...)
	out, in, err := os.Pipe()
	if err != nil {
		u.t.Error(err)
		return
	}
	u.cmd.Stdout, u.cmd.Stderr = in, in
	err = u.cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		u.t.Error(err)
		return
	}
	at := make(chan []string, 1)
	go func() {
		defer out.Close()
		lines := bufio.NewReader(out)
		line, _ := lines.ReadString('\n') // without an address the start has failed
		at <- servesAt.FindStringSubmatch(line)
		_, _ = io.Copy(io.Discard, lines)
	}()
	select {
	case m := <-at:
		if m == nil {
			u.t.Errorf("%v does not listen", u.args)
			return
		}
		u.url = m[0]
		for i, arg := range u.args {
			if arg == "127.0.0.1:0" {
				u.args[i] = m[1]
			}
		}
	case <-time.After(soonIs):
		u.t.Errorf("%v does not start", u.args)
	}
}

func (u *upstream) kill() {
	_ = u.cmd.Process.Kill() // this test started it
	_ = u.cmd.Wait()         // it was killed
}

// pause waits for a random moment.
func pause(r *rand.Rand, most time.Duration) { time.Sleep(time.Duration(r.Int64N(int64(most)))) }
