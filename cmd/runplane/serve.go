package main

import (
	"context"
	"errors"
	"sync"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/server"
	"github.com/runplane/runplane/tools"
)

func (c *cli) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve MCP: on stdio, or over HTTP with --http",
		Long: "Serves MCP clients on stdin and stdout until stdin ends, or with --http on /mcp (streamable HTTP) and /sse (legacy SSE) until SIGTERM. " +
			"Unfinished executions of the store continue at once. When the configuration file changes, or on SIGHUP, realms are added, " +
			"removed and restarted without losing a call; an invalid configuration changes nothing.",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.serve(cmd) },
	}
	addConfigFlags(cmd.Flags(), "store", "shards", "http", "operator", "toolsets", "tools", "exclude_tools", "read_only", "log.level", "log.json", "drain")
	return cmd
}

func (c *cli) serve(cmd *cobra.Command) (err error) {
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	p, err := open(cmd.Context(), cfg, c.err, true)
	if err != nil {
		return err
	}
	stop := p.start(cmd.Context())
	var s *server.Server
	defer func() { err = errors.Join(err, stop(s.DrainedBy())) }()
	s = server.New(server.Config{
		Runtime: p.runtime, Methods: tools.For(cfg.Operator), Choice: cfg.choice(), Prompts: tools.Prompts(), Log: p.log.Named("server"),
		Name: "runplane", Version: version(),
		Drain: cfg.Drain.Std(), Ready: p.runtime.Health.Ready, MaxDepth: cfg.Limits.MaxDepth,
		Limits: server.Limits{
			Connections: cfg.Limits.MaxConnections, Streams: cfg.Limits.MaxStreams, Sessions: cfg.Limits.MaxClientSessions,
			Bytes: int64(cfg.Limits.MaxClientBytes),
		},
	})
	p.log.Info("serving", "version", version(), "config", orNone(cfg.File), "store", storeName(cfg.Store),
		"realms", len(cfg.MCPServers), "http", orNone(cfg.HTTP), "memory_limit", memoryLimit())
	defer p.log.Info("stopping")
	ctx, cancel := context.WithCancel(cmd.Context())
	var reloading sync.WaitGroup
	defer reloading.Wait()
	defer cancel()
	src := c.sources
	src.flags = givenFlags(cmd.Flags())
	r := c.reloader(p, src, s.RealmsChanged)
	reloading.Go(func() { r.run(ctx) })
	if cfg.HTTP != "" {
		ln, listenErr := s.Listen(ctx, cfg.HTTP)
		if listenErr != nil {
			return listenErr
		}
		p.log.Info("listening", "url", "http://"+ln.Addr().String()) // the port may have been 0
		err = s.HTTP(ctx, ln)
	} else {
		err = s.Stdio(ctx, c.in, c.out)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
