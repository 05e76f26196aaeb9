package server

import (
	"context"
	"errors"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// prompt describes a prompt to clients.
func prompt(p *tools.Prompt) mcp.Prompt {
	out := mcp.Prompt{Name: p.Name, Title: p.Title, Description: p.Description}
	for _, a := range p.Arguments {
		out.Arguments = append(out.Arguments, mcp.PromptArgument{Name: a.Name, Description: a.Description, Required: a.Required})
	}
	return out
}

// promptHandler adapts a prompt to mcp-go. Unlike the error of a tool, its error is a protocol error: MCP has no other.
func (s *Server) promptHandler(p *tools.Prompt) mcpserver.PromptHandlerFunc {
	return func(ctx context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		for _, a := range p.Arguments {
			if a.Required && r.Params.Arguments[a.Name] == "" {
				return nil, schemas.Errorf(schemas.CodeInvalidArgument, "prompt %s needs the argument %s: %s", p.Name, a.Name, a.Description)
			}
		}
		has := func(tool string) bool { return s.offers(ctx, tool) }
		text, err := p.Render(ctx, s.config.Runtime, has, r.Params.Arguments)
		if err != nil {
			e := schemas.AsError(err)
			if e.Code == schemas.CodeInternal && !errors.Is(err, context.Canceled) {
				s.log.Error("rendering a prompt failed", "prompt", p.Name, keyError, err)
			}
			return nil, e
		}
		return &mcp.GetPromptResult{
			Description: p.Description,
			Messages:    []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent(text))},
		}, nil
	}
}
