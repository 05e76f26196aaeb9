package server

import (
	"context"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// slogTo makes an slog.Logger for mcp-go that writes to log.
func slogTo(log hclog.Logger) *slog.Logger { return slog.New(&slogHandler{log: log}) }

// slogHandler is an slog.Handler over hclog; groups become a prefix of the keys.
type slogHandler struct {
	log    hclog.Logger
	prefix string
}

func hclogLevel(l slog.Level) hclog.Level {
	switch {
	case l >= slog.LevelError:
		return hclog.Error
	case l >= slog.LevelWarn:
		return hclog.Warn
	case l >= slog.LevelInfo:
		return hclog.Info
	case l >= slog.LevelDebug:
		return hclog.Debug
	}
	return hclog.Trace
}

func (h *slogHandler) Enabled(_ context.Context, l slog.Level) bool {
	return h.log.GetLevel() <= hclogLevel(l)
}

func (h *slogHandler) Handle(_ context.Context, r slog.Record) error {
	var pairs []any
	r.Attrs(func(a slog.Attr) bool {
		pairs = h.pair(pairs, h.prefix, a)
		return true
	})
	h.log.Log(hclogLevel(r.Level), r.Message, pairs...)
	return nil
}

func (h *slogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var pairs []any
	for _, a := range attrs {
		pairs = h.pair(pairs, h.prefix, a)
	}
	return &slogHandler{log: h.log.With(pairs...), prefix: h.prefix}
}

func (h *slogHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &slogHandler{log: h.log, prefix: h.prefix + name + "."}
}

func (h *slogHandler) pair(pairs []any, prefix string, a slog.Attr) []any {
	v := a.Value.Resolve()
	switch {
	case v.Kind() != slog.KindGroup && a.Equal(slog.Attr{}):
		return pairs
	case v.Kind() != slog.KindGroup:
		return append(pairs, prefix+a.Key, v.Any())
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, inner := range v.Group() {
		pairs = h.pair(pairs, prefix, inner)
	}
	return pairs
}
