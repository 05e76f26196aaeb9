package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

type flaky struct {
	server   *server.MCPServer
	deaf     atomic.Bool
	mu       sync.Mutex
	failures map[string]int // by key, of fail_times
	extra    int            // tools added by change_tools
}

func (f *flaky) register() {
	str, num := mcp.WithString, mcp.WithNumber
	f.server.AddTools([]server.ServerTool{
		{Tool: mcp.NewTool("echo", mcp.WithDescription("Answer with the message."), mcp.WithReadOnlyHintAnnotation(true), str("msg")), Handler: f.echo},
		{Tool: mcp.NewTool("fail_times", mcp.WithDescription("Fail the first times for a key, then succeed."), mcp.WithReadOnlyHintAnnotation(true), str("key"), num("times")), Handler: f.failTimes},
		{Tool: mcp.NewTool("fail_once", mcp.WithDescription("As fail_times, and not safe to repeat."), str("key"), num("times")), Handler: f.failTimes},
		{Tool: mcp.NewTool("crash", mcp.WithDescription("End the process in the middle of the call.")), Handler: f.crash},
		{Tool: mcp.NewTool("hang", mcp.WithDescription("Answer never, until it is cancelled.")), Handler: f.hang},
		{Tool: mcp.NewTool("bad_json", mcp.WithDescription("Write a line to stdout that is no JSON, then answer.")), Handler: f.badJSON},
		{Tool: mcp.NewTool("big", mcp.WithDescription("Answer with so many bytes."), num("bytes")), Handler: f.big},
		{Tool: mcp.NewTool("endless_line", mcp.WithDescription("Write so many bytes without a line end to stdout."), num("bytes")), Handler: f.endlessLine},
		{Tool: mcp.NewTool("stderr_flood", mcp.WithDescription("Write so many lines to stderr."), num("lines")), Handler: f.stderrFlood},
		{Tool: mcp.NewTool("slow_progress", mcp.WithDescription("Take so many seconds and report each step."), num("seconds"), num("steps")), Handler: f.slowProgress},
		{Tool: mcp.NewTool("change_tools", mcp.WithDescription("Add one more tool.")), Handler: f.changeTools},
		{Tool: mcp.NewTool("environment", mcp.WithDescription("Answer with the environment and the working directory.")), Handler: f.environment},
		{Tool: mcp.NewTool("grandchild", mcp.WithDescription("Start a helper process that outlives this one, and answer with its id.")), Handler: f.grandchild},
		{Tool: mcp.NewTool("detached", mcp.WithDescription("Start a helper in a session of its own, which ignores TERM, and answer with its id.")), Handler: f.detached},
		{Tool: mcp.NewTool("deafen", mcp.WithDescription("Never read from stdin again.")), Handler: f.deafen},
	}...)
}

func (f *flaky) echo(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(r.GetString("msg", "")), nil
}

func (f *flaky) failTimes(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := r.GetString("key", "")
	f.failures[key]++
	if n := f.failures[key]; n <= r.GetInt("times", 1) {
		return mcp.NewToolResultError(fmt.Sprintf("failure %d of %q", n, key)), nil
	}
	return mcp.NewToolResultStructuredOnly(map[string]any{"key": key, "calls": f.failures[key]}), nil
}

func (f *flaky) crash(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	os.Exit(3)
	return nil, nil
}

func (f *flaky) hang(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (f *flaky) badJSON(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if _, err := os.Stdout.WriteString("Debugger attached. {not json\n"); err != nil {
		return nil, err
	}
	return mcp.NewToolResultText("ok"), nil
}

func (f *flaky) big(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(strings.Repeat("x", r.GetInt("bytes", 1<<20))), nil
}

func (f *flaky) endlessLine(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	chunk := []byte(strings.Repeat("x", 1<<16))
	for written := 0; written < r.GetInt("bytes", 1<<30); written += len(chunk) {
		if _, err := os.Stdout.Write(chunk); err != nil {
			return nil, err
		}
	}
	return f.hang(ctx, r)
}

func (f *flaky) stderrFlood(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	for i := range r.GetInt("lines", 100_000) {
		fmt.Fprintf(os.Stderr, "\x1b[31mline %d\x1b[0m of a flood\n", i)
	}
	return mcp.NewToolResultText("ok"), nil
}

func (f *flaky) slowProgress(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	steps := max(1, r.GetInt("steps", 5))
	pause := time.Duration(r.GetFloat("seconds", 1) * float64(time.Second) / float64(steps))
	for i := 1; i <= steps; i++ {
		if meta := r.Params.Meta; meta != nil && meta.ProgressToken != nil {
			// A full channel drops the notification; progress may be lost.
			_ = f.server.SendNotificationToClient(ctx, "notifications/progress", map[string]any{
				"progressToken": meta.ProgressToken, "progress": i, "total": steps, "message": fmt.Sprintf("step %d", i),
			})
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return mcp.NewToolResultStructuredOnly(map[string]any{"steps": steps}), nil
}

func (f *flaky) changeTools(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	f.mu.Lock()
	f.extra++
	name := fmt.Sprintf("extra_%d", f.extra)
	f.mu.Unlock()
	f.server.AddTool(mcp.NewTool(name, mcp.WithDescription("Was added by change_tools.")), f.echo)
	return mcp.NewToolResultText(name), nil
}

func (f *flaky) environment(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	return mcp.NewToolResultStructuredOnly(map[string]any{"env": os.Environ(), "cwd": cwd, "pid": os.Getpid()}), nil
}

func (f *flaky) grandchild(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	cmd := exec.Command("sleep", "300")
	cmd.Stdout = os.Stdout // keeps our pipe open, as child processes of npx do
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return mcp.NewToolResultStructuredOnly(map[string]any{"pid": cmd.Process.Pid}), nil
}

// detached has setsid start a shell that starts the helper and ends.
func (f *flaky) detached(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	out, err := exec.Command("setsid", "sh", "-c", "trap '' TERM HUP INT; sleep 300 </dev/null >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return nil, err
	}
	return mcp.NewToolResultStructuredOnly(map[string]any{"pid": pid}), nil
}

func (f *flaky) deafen(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	f.deaf.Store(true)
	return mcp.NewToolResultText("ok"), nil
}
