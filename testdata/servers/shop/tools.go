package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/runplane/runplane/testdata/servers/ledger"
)

type shop struct {
	ledger *ledger.File
	delay  time.Duration
}

// tool is one row: its name, effect, schemas and function.
type tool struct {
	name, effect, description string
	input, output             string // properties of the two schemas; the required ones end in "!"
	do                        func(*shop, args) (any, error)
}

type args struct {
	ID, Order, SKU, Key, To, Text, Msg, Cursor string
	Qty, Cents, Limit                          int
}

const orderSchema = `"id": {"type": "string"}, "customer": {"type": "string"}, "status": {"type": "string"}, "total_cents": {"type": "integer"},
	"items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "qty": {"type": "integer"}, "cents": {"type": "integer"}}}},
	"contacts": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}, "email": {"type": "string"}}}}`

var tools = []tool{
	{"get_order", "read", "Read one order.", `"id!": {"type": "string", "description": "such as A-17"}`, orderSchema, (*shop).getOrder},
	{"list_orders", "read", "List orders, oldest first.", `"limit": {"type": "integer", "minimum": 1, "maximum": 40}, "cursor": {"type": "string", "description": "next_cursor of the page before"}`,
		`"next_cursor": {"type": "string", "description": "absent on the last page"}, "orders": {"type": "array", "items": {"type": "object", "properties": {` + orderSchema + `}}}`, (*shop).listOrders},
	{"find_refund", "read", "Find the refunds of an order that were made and not voided.", `"order!": {"type": "string"}`,
		`"items": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "string"}, "order": {"type": "string"}, "cents": {"type": "integer"}}}}`, (*shop).findRefund},
	{"reserve", "idempotent", "Reserve stock. Repeating it with the same key changes nothing.",
		`"sku!": {"type": "string"}, "qty!": {"type": "integer", "minimum": 1}, "key": {"type": "string"}`,
		`"reservation": {"type": "string"}, "sku": {"type": "string"}, "qty": {"type": "integer"}`, (*shop).reserve},
	{"void_refund", "idempotent", "Take a refund back.", `"id!": {"type": "string"}`,
		`"id": {"type": "string"}, "voided": {"type": "boolean"}`, (*shop).voidRefund},
	{"refund", "", "Pay money back for an order.", `"order!": {"type": "string"}, "cents!": {"type": "integer", "minimum": 1}`,
		`"id": {"type": "string"}, "order": {"type": "string"}, "cents": {"type": "integer"}`, (*shop).refund},
	{"charge", "once", "Charge money for an order.", `"order!": {"type": "string"}, "cents!": {"type": "integer", "minimum": 1}`,
		`"id": {"type": "string"}, "order": {"type": "string"}, "cents": {"type": "integer"}`, (*shop).charge},
	{"send_mail", "once", "Send a mail.", `"to!": {"type": "string"}, "text!": {"type": "string"}`,
		`"sent": {"type": "boolean"}, "to": {"type": "string"}`, (*shop).sendMail},
}

// register adds every tool, and echo, which uses neither ledger nor delay.
func (s *shop) register(to *server.MCPServer) {
	all := []server.ServerTool{{
		Tool: mcp.NewToolWithRawSchema("echo", "Answer with the message.", schema(`"msg!": {"type": "string"}`)),
		Handler: func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText(r.GetString("msg", "")), nil
		},
	}}
	all[0].Tool.Annotations = annotations("read")
	for _, t := range tools {
		declared := mcp.NewToolWithRawSchema(t.name, t.description, schema(t.input))
		declared.RawOutputSchema = schema(t.output)
		declared.Annotations = annotations(t.effect)
		all = append(all, server.ServerTool{Tool: declared, Handler: s.handler(t)})
	}
	to.AddTools(all...)
}

// handler decodes the arguments, writes the ledger, waits for -delay and answers.
func (s *shop) handler(t tool) server.ToolHandlerFunc {
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		var a args
		if err := r.BindArguments(&a); err != nil {
			return mcp.NewToolResultError("arguments: " + err.Error()), nil
		}
		if a.Key == "" {
			a.Key = ledger.Key(r)
		}
		out, err := t.do(s, a)
		if err != nil {
			return mcp.NewToolResultError(err.Error()), nil
		}
		effect := t.effect
		if effect == "" {
			effect = "once"
		}
		if err := s.ledger.Append(t.name, effect, r); err != nil {
			return nil, err
		}
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return mcp.NewToolResultStructuredOnly(out), nil
	}
}

func (s *shop) getOrder(a args) (any, error) {
	o, ok := findOrder(a.ID)
	if !ok {
		return nil, fmt.Errorf("no order %q; there are A-1 to A-%d", a.ID, orderCount)
	}
	return o, nil
}

func (s *shop) listOrders(a args) (any, error) {
	first := 1
	if a.Cursor != "" {
		if _, err := fmt.Sscanf(a.Cursor, "after-%d", &first); err != nil {
			return nil, fmt.Errorf("no cursor %q: pass next_cursor of the page before", a.Cursor)
		}
		first++
	}
	last := orderCount
	if a.Limit > 0 {
		last = min(last, first+a.Limit-1)
	}
	orders := []Order{}
	for n := first; n <= last; n++ {
		orders = append(orders, order(n))
	}
	page := map[string]any{"orders": orders}
	if last < orderCount && a.Limit > 0 {
		page["next_cursor"] = fmt.Sprintf("after-%d", last)
	}
	return page, nil
}

func (s *shop) reserve(a args) (any, error) {
	return map[string]any{"reservation": fmt.Sprintf("V-%s-%d", a.SKU, a.Qty), "sku": a.SKU, "qty": a.Qty}, nil
}

func (s *shop) charge(a args) (any, error) {
	if _, ok := findOrder(a.Order); !ok {
		return nil, fmt.Errorf("no order %q", a.Order)
	}
	return map[string]any{"id": "C-" + a.Order, "order": a.Order, "cents": a.Cents}, nil
}

func (s *shop) sendMail(a args) (any, error) {
	return map[string]any{"sent": true, "to": a.To}, nil
}

func (s *shop) refund(a args) (any, error) {
	o, ok := findOrder(a.Order)
	switch {
	case !ok:
		return nil, fmt.Errorf("no order %q", a.Order)
	case a.Cents > o.TotalCents:
		return nil, fmt.Errorf("order %s cost %d cents; %d cannot be refunded", a.Order, o.TotalCents, a.Cents)
	}
	return map[string]any{"id": "R-" + a.Order, "order": a.Order, "cents": a.Cents}, nil
}

func (s *shop) voidRefund(a args) (any, error) {
	return map[string]any{"id": a.ID, "voided": true}, nil
}

// findRefund reads the ledger, so that it finds the refunds of earlier processes.
func (s *shop) findRefund(a args) (any, error) {
	entries, err := s.ledger.Read()
	if err != nil {
		return nil, err
	}
	items := []map[string]any{}
	for _, e := range entries {
		var in args
		if err := json.Unmarshal(e.Inputs, &in); err != nil {
			return nil, err
		}
		switch {
		case e.Tool == "refund" && in.Order == a.Order:
			items = append(items, map[string]any{"id": "R-" + in.Order, "order": in.Order, "cents": in.Cents})
		case e.Tool == "void_refund" && in.ID == "R-"+a.Order:
			items = items[:0]
		}
	}
	return map[string]any{"items": items}, nil
}
