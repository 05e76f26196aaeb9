package server

import (
	"container/list"
	"context"
	crand "crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// sessionPrefix begins the id of every session on /mcp.
const sessionPrefix = "mcp-session-"

// webSessions are the sessions of /mcp that mcp-go keeps: its SessionIdManager, with a limit. A session that is dropped because there are
// too many is forgotten, not ended: no tool depends on what is kept of it, so its client goes on as after a restart. One that its client
// ended stays ended.
type webSessions struct {
	limit   int
	forget  func(id string)      // has mcp-go forget a session
	hasOpen func(id string) bool // reports whether it has a stream; such a session is kept

	mu     sync.Mutex
	byID   map[string]*list.Element // of unused or used
	unused *list.List               // *rememberedSession, oldest first: those that were only initialized
	used   *list.List               // least recently used first
	ended  map[string]bool
	order  []string // of ended, oldest first
}

// rememberedSession is one of them.
type rememberedSession struct {
	id    string
	began time.Time // when initialize began; zero: it has been answered
	in    *list.List
}

var _ mcpserver.SessionIdManager = (*webSessions)(nil)

func newWebSessions(limit int, hasOpen func(string) bool) *webSessions {
	return &webSessions{
		limit: limit, hasOpen: hasOpen, byID: map[string]*list.Element{}, unused: list.New(), used: list.New(), ended: map[string]bool{},
	}
}

// Generate makes the id of a session that is being initialized.
func (w *webSessions) Generate() string {
	id := newSessionID()
	w.mu.Lock()
	w.byID[id] = w.unused.PushBack(&rememberedSession{id: id, began: time.Now(), in: w.unused})
	w.mu.Unlock()
	w.shrink()
	return id
}

func newSessionID() string { return sessionPrefix + crand.Text() }

// initialized records that mcp-go keeps the session now.
func (w *webSessions) initialized(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.byID[id]; e != nil {
		e.Value.(*rememberedSession).began = time.Time{} //nolint:forcetypeassert // the lists hold nothing else
	}
}

// isSessionID reports whether id may be one of ours, or one that an earlier version made.
func isSessionID(id string) bool {
	text, ok := strings.CutPrefix(id, sessionPrefix)
	return ok && len(text) >= 26 && len(text) <= 36
}

var errSessionID = errors.New("invalid session id")

// Validate implements mcp-go's interface: it records the use of a session. An id of this form that is not known is one of before a
// restart, of another replica, or was dropped.
func (w *webSessions) Validate(id string) (ended bool, err error) {
	if !isSessionID(id) {
		return false, errSessionID
	}
	w.mu.Lock()
	if w.ended[id] {
		w.mu.Unlock()
		return true, nil
	}
	e := w.byID[id]
	if e == nil {
		w.byID[id] = w.used.PushBack(&rememberedSession{id: id, in: w.used})
	} else if s := e.Value.(*rememberedSession); s.in == w.used { //nolint:forcetypeassert // the lists hold nothing else
		w.used.MoveToBack(e)
	} else {
		w.unused.Remove(e)
		s.in = w.used
		w.byID[id] = w.used.PushBack(s)
	}
	w.mu.Unlock()
	if e == nil {
		w.shrink()
	}
	return false, nil
}

// Terminate implements mcp-go's interface: it forgets a session.
func (w *webSessions) Terminate(id string) (notAllowed bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delete(id)
	return false, nil
}

func (w *webSessions) delete(id string) {
	if e := w.byID[id]; e != nil {
		delete(w.byID, id)
		e.Value.(*rememberedSession).in.Remove(e) //nolint:forcetypeassert // the lists hold nothing else
	}
}

// end has a session stay ended, as its client wants.
func (w *webSessions) end(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended[id] || !isSessionID(id) {
		return
	}
	w.ended[id] = true
	if w.order = append(w.order, id); len(w.order) > 10*w.limit {
		delete(w.ended, w.order[0])
		w.order = w.order[1:]
	}
}

func (w *webSessions) isEnded(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended[id]
}

// initializeTime is how long a session may take to initialize before it can be dropped.
const initializeTime = time.Minute

// shrink drops sessions beyond the limit: those that were only initialized before those that were used, the oldest first.
func (w *webSessions) shrink() {
	for {
		w.mu.Lock()
		if len(w.byID) <= w.limit {
			w.mu.Unlock()
			return
		}
		id := w.oldest()
		w.delete(id)
		w.mu.Unlock()
		if id == "" {
			return
		}
		w.forget(id)
	}
}

// oldest returns the session to drop; the caller holds mu.
func (w *webSessions) oldest() string {
	for _, l := range []*list.List{w.unused, w.used} {
		for e := l.Front(); e != nil; e = e.Next() {
			s := e.Value.(*rememberedSession) //nolint:forcetypeassert // the lists hold nothing else
			if time.Since(s.began) > initializeTime && !w.hasOpen(s.id) {
				return s.id
			}
		}
	}
	return ""
}

// isUsed reports whether the client of a session has sent more than initialize.
func (w *webSessions) isUsed(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.byID[id]
	return e != nil && e.Value.(*rememberedSession).in == w.used //nolint:forcetypeassert // the lists hold nothing else
}

func (w *webSessions) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byID)
}

// forgetSession has mcp-go forget a session, for which it has no other way than the request of a client.
func forgetSession(mcpHTTP http.Handler, id string) {
	r := (&http.Request{Method: http.MethodDelete, URL: &url.URL{Path: "/mcp"}, Header: http.Header{mcp.HeaderSessionID: {id}}}).WithContext(context.Background())
	mcpHTTP.ServeHTTP(nothing{http.Header{}}, r)
}

// nothing is a response that is dropped.
type nothing struct{ header http.Header }

func (n nothing) Header() http.Header         { return n.header }
func (n nothing) Write(b []byte) (int, error) { return len(b), nil }
func (n nothing) WriteHeader(int)             {}
