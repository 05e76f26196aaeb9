package server

import (
	"context"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/tools"
)

// referenceURI is the page of the plan language, for a model that is to write a plan.
const (
	referenceURI  = "runplane://reference/plan"
	referenceTool = "execute_plan" // the page is for clients that have it
)

// addReference registers the page, where plans can be executed.
func (s *Server) addReference() {
	s.mcp.AddResource(mcp.NewResource(referenceURI, "plan_reference",
		mcp.WithResourceTitle("The plan language"),
		mcp.WithResourceDescription("How a plan is written: kinds of nodes, references, failure, and every function of expressions with a sample."),
		mcp.WithMIMEType("text/markdown"),
	), func(ctx context.Context, _ mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		if !s.offers(ctx, referenceTool) {
			return nil, notOffered(referenceURI, referenceTool)
		}
		s.recordClient(ctx)
		page := mcp.TextResourceContents{URI: referenceURI, MIMEType: "text/markdown", Text: tools.PlanReference()}
		return []mcp.ResourceContents{page}, nil
	})
}
