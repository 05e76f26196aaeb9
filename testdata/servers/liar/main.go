// Command liar is an MCP server that violates the protocol: it answers twice, answers without a request or with invalid JSON,
// floods its client with notifications, hides text from readers, sends requests to its client, changes its tools without
// notice and stops answering. It is written without a library, because none would allow that.
//
//	liar                      on stdio
//	liar -http 127.0.0.1:0    as streamable HTTP at /mcp and legacy SSE at /sse; prints its base URL
//	liar -hostile             with further tools, whose schemas and answers are expensive or unreadable, and a change of its tools
//	                          after each list
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

func main() {
	address := flag.String("http", "", "serve HTTP on this address")
	hostile := flag.Bool("hostile", false, "offer the hostile tools too")
	flag.Parse()
	l := &liar{hostile: *hostile, answers: map[string]chan json.RawMessage{}, streams: map[string]func(any){}}
	if *address == "" {
		l.stdio(os.Stdin, os.Stdout)
		return
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		fmt.Fprintln(os.Stderr, "liar:", err)
		os.Exit(1)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("/mcp", l.streamable)
	mux.HandleFunc("GET /sse", l.sse)
	mux.HandleFunc("POST /message", l.message)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, "liar:", server.Serve(listener))
	os.Exit(1)
}

// raw is a message that is written unchanged.
type raw string

func encode(v any) ([]byte, error) {
	if line, ok := v.(raw); ok {
		return []byte(line), nil
	}
	return json.Marshal(v)
}

// stdio serves one client until it disconnects.
func (l *liar) stdio(in io.Reader, out io.Writer) {
	var mu sync.Mutex
	send := func(v any) {
		line, err := encode(v)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		_, _ = out.Write(append(line, '\n')) // the client may have disconnected
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) == nil {
			go l.handle(&m, send)
		}
	}
}

// events makes a response an event stream; send writes to it and is safe for concurrent use.
func events(w http.ResponseWriter) (send func(any)) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	var mu sync.Mutex
	return func(v any) {
		data, err := encode(v)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "event: message\ndata: %s\n\n", data)
		_ = http.NewResponseController(w).Flush() // the client may have disconnected
	}
}

// streamable answers each request on its own event stream, so that it can send several messages.
func (l *liar) streamable(w http.ResponseWriter, r *http.Request) {
	var m message
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&m) != nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if l.hostile && limited(w, &m) {
		return
	}
	if m.Method == "" || len(m.ID) == 0 {
		l.handle(&m, func(any) {})
		w.WriteHeader(http.StatusAccepted)
		return
	}
	l.handle(&m, events(w))
}

// sse keeps a stream for the answers to messages that are posted with its session.
func (l *liar) sse(w http.ResponseWriter, r *http.Request) {
	send := events(w)
	session := fmt.Sprint(time.Now().UnixNano())
	l.mu.Lock() // until it is written, no other goroutine writes
	l.streams[session] = send
	fmt.Fprintf(w, "event: endpoint\ndata: /message?session=%s\n\n", session)
	_ = http.NewResponseController(w).Flush() // the client may have disconnected
	l.mu.Unlock()
	<-r.Context().Done()
	l.mu.Lock()
	delete(l.streams, session)
	l.mu.Unlock()
}

func (l *liar) message(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	send := l.streams[r.URL.Query().Get("session")]
	l.mu.Unlock()
	var m message
	if send == nil || json.NewDecoder(r.Body).Decode(&m) != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	go l.handle(&m, func(v any) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.streams[r.URL.Query().Get("session")] != nil { // otherwise its stream has ended and must not be written to
			send(v)
		}
	})
}
