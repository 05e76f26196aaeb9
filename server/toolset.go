package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// Which tools a client sees and may call: those that [Config.Choice] leaves, and of them those that the headers of its requests leave.
// On legacy SSE the headers of GET /sse hold for all messages, and those of a POST for its message besides. Prompts, resources,
// notifications of changed lists and the instructions follow the tools that they are about.

// narrowing is what headers choose; a tool must be in each of the choices.
type narrowing []tools.Choice

// narrowingHeaders are the headers that narrow, by the rule that each of them is.
var narrowingHeaders = map[string]string{
	tools.ByToolsets: "X-MCP-Toolsets",
	tools.ByTools:    "X-MCP-Tools",
	tools.ByExclude:  "X-MCP-Exclude-Tools",
	tools.ByReadOnly: "X-MCP-Readonly",
}

// narrow reads the headers; nil: there are none.
func narrow(h http.Header) (narrowing, *schemas.Error) {
	names := func(rule string) []string {
		return tools.SplitNames(strings.Join(h.Values(narrowingHeaders[rule]), ","))
	}
	c := tools.Choice{Toolsets: names(tools.ByToolsets), Tools: names(tools.ByTools), Exclude: names(tools.ByExclude)}
	for _, set := range []struct {
		rule  string
		check func([]string) error
		names []string
	}{
		{tools.ByToolsets, tools.CheckToolsets, c.Toolsets}, {tools.ByTools, tools.CheckTools, c.Tools}, {tools.ByExclude, tools.CheckTools, c.Exclude},
	} {
		if err := set.check(set.names); err != nil {
			return nil, inHeader(set.rule, schemas.AsError(err))
		}
	}
	for _, word := range names(tools.ByReadOnly) {
		switch strings.ToLower(word) {
		case "true", "t", "yes", "y", "1", "on":
			c.ReadOnly = true
		case "false", "f", "no", "n", "0", "off":
		default:
			return nil, inHeader(tools.ByReadOnly, schemas.Errorf(schemas.CodeInvalidArgument, "must be true or false, got %s", schemas.Quote(word, 100)))
		}
	}
	if !c.ReadOnly && len(c.Toolsets)+len(c.Tools)+len(c.Exclude) == 0 {
		return nil, nil
	}
	return narrowing{c}, nil
}

func inHeader(rule string, e *schemas.Error) *schemas.Error {
	return e.With(func(e *schemas.Error) {
		e.Field = narrowingHeaders[rule]
		e.Message = e.Field + ": " + e.Message
	})
}

// badHeader answers a request whose headers cannot be read; it is not executed.
func badHeader(w http.ResponseWriter, id []byte, e *schemas.Error) {
	answer(w, http.StatusBadRequest, protocolError(id, mcp.INVALID_REQUEST, fmt.Sprintf("%s; %s", e.Message, e.Hint), e))
}

// leftOutBy returns the header that leaves a method out, or "".
func (n narrowing) leftOutBy(m *tools.Method) string {
	for i := range n {
		if rule := n[i].LeftOutBy(m); rule != "" {
			return narrowingHeaders[rule]
		}
	}
	return ""
}

type narrowingKey struct{}

// withNarrowing narrows what the requests of ctx see, besides what narrows it already.
func withNarrowing(ctx context.Context, n narrowing) context.Context {
	if len(n) == 0 {
		return ctx
	}
	return context.WithValue(ctx, narrowingKey{}, slices.Concat(narrowed(ctx), n))
}

func narrowed(ctx context.Context) narrowing {
	n, _ := ctx.Value(narrowingKey{}).(narrowing)
	return n
}

// offers reports whether the client of a request may call the method of this name.
func (s *Server) offers(ctx context.Context, name string) bool {
	m := s.methods[name]
	return m != nil && narrowed(ctx).leftOutBy(m) == ""
}

// listChanges reports whether the client's list of tools can change.
func (s *Server) listChanges(ctx context.Context) bool {
	return s.publishes() && !slices.ContainsFunc(narrowed(ctx), func(c tools.Choice) bool { return !c.Publishes() })
}

// leftOut returns a protocol error if a rule leaves out the method, which exists.
func (s *Server) leftOut(ctx context.Context, h *envelope, m *tools.Method) *mcp.JSONRPCError {
	var e *schemas.Error
	if rule := s.config.Choice.LeftOutBy(m); rule != "" {
		e = schemas.Errorf(schemas.CodeNotFound, "no tool %s: the server runs without it (--%s)", schemas.Quote(m.Name, 100), rule).
			WithHint("tools/list shows every tool; who starts the server adds others: `runplane serve --help`")
	} else if header := narrowed(ctx).leftOutBy(m); header != "" {
		e = schemas.Errorf(schemas.CodeNotFound, "no tool %s: the header %s of this client leaves it out", schemas.Quote(m.Name, 100), header).
			WithHint("tools/list shows every tool; who configures the client changes the header")
	} else {
		return nil
	}
	return protocolError(h.ID, mcp.INVALID_PARAMS, fmt.Sprintf("%s; %s", e.Message, e.Hint), e)
}

// notOffered is the error of a resource of which the client may not call the tool.
func notOffered(uri, tool string) error {
	return readable(schemas.Errorf(schemas.CodeNotFound, "no resource %s", schemas.Quote(uri, 300)).
		WithHint("it goes with %s, which is not among the tools of this client", tool))
}

// promptsOf leaves out the prompts whose tools the client may not call.
func (s *Server) promptsOf(ctx context.Context, listed []mcp.Prompt) []mcp.Prompt {
	return slices.DeleteFunc(listed, func(p mcp.Prompt) bool {
		i := slices.IndexFunc(s.config.Prompts, func(own tools.Prompt) bool { return own.Name == p.Name })
		return i >= 0 && s.config.Prompts[i].Needs != "" && !s.offers(ctx, s.config.Prompts[i].Needs)
	})
}

// fit has what describes the server fit the tools of the client.
func (s *Server) fit(ctx context.Context, text *string, can *mcp.ServerCapabilities) {
	*text = s.instructions(ctx)
	if can.Tools != nil && !s.listChanges(ctx) {
		can.Tools = &struct {
			ListChanged bool `json:"listChanged,omitempty"`
		}{}
	}
}
