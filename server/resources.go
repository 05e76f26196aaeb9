package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
)

// A state is also a resource: runplane://state/{type}/{key}, percent-encoded. A client that subscribes to it is notified when it
// changes, and reads it with resources/read or get_state.
const (
	stateRoot     = "runplane://state/"
	stateTemplate = stateRoot + "{type}/{key}"
	stateTool     = "get_state" // states are resources for clients that have it
	jsonType      = "application/json"
)

// servesStates reports whether this server serves states as resources.
func (s *Server) servesStates() bool {
	return s.config.Runtime != nil && s.methods[stateTool] != nil
}

// addResources registers the templates of resources.
func (s *Server) addResources() {
	s.mcp.AddResourceTemplate(mcp.NewResourceTemplate(stateTemplate, "state",
		mcp.WithTemplateTitle("State"),
		mcp.WithTemplateDescription("One of your states as get_state shows it; found is false if there is none. "+
			"Subscribe to be notified when it is written, deleted or expires; types session, workflow and execution show those records."),
		mcp.WithTemplateMIMEType(jsonType),
	), s.readResource)
}

// stateOf parses the URI of a state.
func stateOf(uri string) (ref state.Ref, err error) {
	rest, ok := strings.CutPrefix(uri, stateRoot)
	kind, key, whole := strings.Cut(rest, "/")
	if ok && whole && !strings.ContainsAny(key, "/?#") {
		if ref.Type, err = url.PathUnescape(kind); err == nil {
			ref.Key, err = url.PathUnescape(key)
		}
	}
	if err != nil || ref.Type == "" || ref.Key == "" || !utf8.ValidString(ref.Type+ref.Key) {
		return ref, schemas.Errorf(schemas.CodeNotFound, "no resource %s", schemas.Quote(uri, 300)).WithHint("states are %s, percent-encoded", stateTemplate)
	}
	return ref, nil
}

// readResource answers resources/read.
func (s *Server) readResource(ctx context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
	s.recordClient(ctx)
	if !s.offers(ctx, stateTool) {
		return nil, notOffered(r.Params.URI, stateTool)
	}
	ref, err := stateOf(r.Params.URI)
	if err != nil {
		return nil, readable(err)
	}
	state, err := s.config.Runtime.States.Get(ctx, ref)
	if err != nil {
		s.log.Debug("reading a resource failed", "uri", r.Params.URI, keyError, err)
		return nil, readable(err)
	}
	text, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("encode resource: %w", err)
	}
	return []mcp.ResourceContents{mcp.TextResourceContents{URI: r.Params.URI, MIMEType: jsonType, Text: string(text)}}, nil
}

// readable formats an error as the text of a protocol error: the message and the hint.
func readable(err error) error {
	e := schemas.AsError(err)
	if e.Hint == "" {
		return fmt.Errorf("%s", e.Message) //nolint:err113 // it is sent to the client
	}
	return fmt.Errorf("%s; %s", e.Message, e.Hint) //nolint:err113 // it is sent to the client
}

// watch calls changed after each change of the resource, until stop is called.
func (s *Server) watch(ctx context.Context, uri string, changed func()) (stop func(), err error) {
	if !s.offers(ctx, stateTool) {
		return nil, notOffered(uri, stateTool)
	}
	ref, err := stateOf(uri)
	if err != nil {
		return nil, readable(err)
	}
	stop, err = s.config.Runtime.States.Watch(ctx, ref, changed)
	if err != nil {
		return nil, readable(err)
	}
	return stop, nil
}
