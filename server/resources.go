package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// A state is a resource as well: runplane://state/{type}/{key}, percent-encoded. A client that subscribes to it hears when it is
// another one, and reads it with resources/read or get_state.
const (
	stateRoot     = "runplane://state/"
	stateTemplate = stateRoot + "{type}/{key}"
	jsonType      = "application/json"
)

// hasStates tells whether clients of this server see states as resources.
func (s *Server) hasStates() bool {
	return s.config.Runtime != nil && slices.ContainsFunc(s.config.Methods, func(m tools.Method) bool { return m.Contract == tools.StateContract })
}

// addResources registers the templates of resources.
func (s *Server) addResources() {
	s.mcp.AddResourceTemplate(mcp.NewResourceTemplate(stateTemplate, "state",
		mcp.WithTemplateTitle("State"),
		mcp.WithTemplateDescription("A state of yours as get_state shows it, found false where there is none. Subscribe to hear when it is written, deleted or expires; "+
			"types session, workflow and execution show those records."),
		mcp.WithTemplateMIMEType(jsonType),
	), s.readResource)
}

// stateOf reads the address of a state.
func stateOf(uri string) (ref state.Ref, err error) {
	rest, ok := strings.CutPrefix(uri, stateRoot)
	kind, key, whole := strings.Cut(rest, "/")
	if ok && whole && !strings.ContainsAny(key, "/?#") {
		if ref.Type, err = url.PathUnescape(kind); err == nil {
			ref.Key, err = url.PathUnescape(key)
		}
	}
	if err != nil || ref.Type == "" || ref.Key == "" {
		return ref, schemas.Errorf(schemas.CodeNotFound, "no resource %.300q", uri).WithHint("states are %s, percent-encoded", stateTemplate)
	}
	return ref, nil
}

// readResource answers resources/read.
func (s *Server) readResource(ctx context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
	s.saw(ctx)
	ref, err := stateOf(r.Params.URI)
	if err != nil {
		return nil, inWords(err)
	}
	state, err := s.config.Runtime.States.Get(ctx, ref)
	if err != nil {
		s.log.Debug("read a resource", "uri", r.Params.URI, keyError, err)
		return nil, inWords(err)
	}
	text, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("encode resource: %w", err)
	}
	return []mcp.ResourceContents{mcp.TextResourceContents{URI: r.Params.URI, MIMEType: jsonType, Text: string(text)}}, nil
}

// inWords is an error for those who read a protocol error: the message and what to do next.
func inWords(err error) error {
	e := schemas.AsError(err)
	if e.Hint == "" {
		return fmt.Errorf("%s", e.Message) //nolint:err113 // it leaves the program here
	}
	return fmt.Errorf("%s; %s", e.Message, e.Hint) //nolint:err113 // it leaves the program here
}

// watch has told called when the resource has changed, until off is.
func (s *Server) watch(ctx context.Context, uri string, told func()) (off func(), err error) {
	ref, err := stateOf(uri)
	if err != nil {
		return nil, inWords(err)
	}
	off, err = s.config.Runtime.States.Watch(ctx, ref, told)
	if err != nil {
		return nil, inWords(err)
	}
	return off, nil
}
