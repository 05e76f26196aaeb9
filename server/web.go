package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// mcpHandler serves /mcp within the limits, and gives every request a response that progress can be written to.
func (s *Server) mcpHandler(next http.Handler, stopping <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stopping:
			plain(w, http.StatusServiceUnavailable, errStopping.Message)
			return
		default:
		}
		out := newStream(w, r, s)
		defer out.end()
		modern := mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion))
		session := r.Header.Get(mcp.HeaderSessionID)
		if !modern && s.sessions.isEnded(session) {
			answer(w, http.StatusNotFound, protocolError(nil, mcp.INVALID_REQUEST, errSessionEnded.Message, errSessionEnded))
			return
		}
		switch {
		case r.Method == http.MethodPost:
			s.mcpPost(next, out, r, modern, stopping)
		case r.Method == http.MethodGet && !modern:
			s.mcpGet(next, out, r)
		case r.Method == http.MethodDelete && !modern && session != "":
			s.sessions.end(session)
			s.streams.endSession(session, errSessionEnded)
			next.ServeHTTP(out, r)
		default:
			next.ServeHTTP(out, r)
		}
	})
}

var errSessionEnded = schemas.Errorf(schemas.CodeNotFound, "the session was ended by its client").WithHint("begin another one with initialize")

// mcpPost serves one message.
func (s *Server) mcpPost(next http.Handler, out *stream, r *http.Request, modern bool, stopping <-chan struct{}) {
	w := out.ResponseWriter
	message, held, ok := s.readMessage(w, r)
	if !ok {
		return
	}
	defer held.free()
	h, bad := s.parseEnvelope(message)
	if bad != nil {
		answer(w, http.StatusBadRequest, bad)
		return
	}
	n, wrong := narrow(r.Header)
	if wrong != nil {
		badHeader(w, h.ID, wrong)
		return
	}
	h.narrowing = n
	out.fixedTools = !s.listChanges(withNarrowing(r.Context(), n))
	if !modern && named(r.Header) {
		if what := contradicts(r.Header, h); what != "" {
			mismatch(w, h.ID, what)
			return
		}
	}
	out.id, out.alias = h.ID, h.alias
	r.Body = io.NopCloser(bytes.NewReader(h.message))
	if refusal := s.admit(r, h, held); refusal != nil {
		s.refuse(w, h.ID, refusal)
		return
	}
	if session := r.Header.Get(mcp.HeaderSessionID); session != "" {
		s.streams.useSession(session)
	}
	ctx, unknown := s.route(r.Context(), h)
	if unknown != nil {
		status := http.StatusOK
		if modern {
			status = http.StatusBadRequest
		}
		answer(w, status, unknown)
		return
	}
	switch h.Method {
	case string(mcp.MethodInitialize):
		defer func() { s.sessions.initialized(out.Header().Get(mcp.HeaderSessionID)) }()
	case string(mcp.MethodToolsCall):
		ctx = withSender(ctx, out)
	case string(mcp.MethodResourcesSubscribe), string(mcp.MethodResourcesUnsubscribe):
		ctx = subscribing(ctx, h.Method)
	case string(mcp.MethodSubscriptionsListen):
		listening, end := context.WithCancelCause(subscribing(ctx, h.Method))
		defer end(nil)
		o := &openStream{end: end, used: true}
		if refusal := s.streams.add(o); refusal != nil {
			s.refuse(w, h.ID, refusal)
			return
		}
		defer s.streams.remove(o)
		go func() {
			select {
			case <-stopping:
				end(errStopping)
			case <-listening.Done():
			}
		}()
		ctx = listening
	}
	if h.Method != string(mcp.MethodToolsCall) && h.Method != string(mcp.MethodSubscriptionsListen) && !isControl(h) {
		out.setTurn(s.takeTurn(ctx, writeTime))
	}
	next.ServeHTTP(out, r.WithContext(ctx))
}

// admit returns why a message that was received, and holds what it needs, is not handled, or nil.
func (s *Server) admit(r *http.Request, h *envelope, held *hold) *schemas.Error {
	if connectionOf(r).isSpare() && !isControl(h) {
		return s.noConnection()
	}
	if held == nil && !s.bytes.hasRoom() && !isControl(h) && !s.bytes.room(r.Context(), roomTime) {
		return s.noRoom()
	}
	return nil
}

// mcpGet serves the stream of a session. It is one of a session of its own if the client names none.
func (s *Server) mcpGet(next http.Handler, out *stream, r *http.Request) {
	if connectionOf(r).isSpare() {
		s.refuse(out.ResponseWriter, nil, s.noConnection())
		return
	}
	n, wrong := narrow(r.Header)
	if wrong != nil {
		badHeader(out.ResponseWriter, nil, wrong)
		return
	}
	out.fixedTools = !s.listChanges(withNarrowing(r.Context(), n))
	ctx, end := context.WithCancelCause(r.Context())
	defer end(nil)
	session := r.Header.Get(mcp.HeaderSessionID)
	o := &openStream{session: session, end: end, used: s.sessions.isUsed(session)}
	if session == "" {
		r.Header.Set(mcp.HeaderSessionID, newSessionID())
	}
	if refusal := s.streams.add(o); refusal != nil {
		s.refuse(out.ResponseWriter, nil, refusal)
		return
	}
	defer s.streams.remove(o)
	next.ServeHTTP(out, r.WithContext(ctx))
	if errors.Is(context.Cause(ctx), errStreamDropped) {
		out.askToWait(retryStream)
	}
}
