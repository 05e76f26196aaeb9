package expr

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/runplane/runplane/schemas"
)

const (
	ordinary = `"${inputs.n + 1}"`
	large    = `"${lists.range(9000).map(i, i + 1).size()}"`
)

// An evaluation that takes much memory waits until it is free; an ordinary one does not, and a wait ends with its context.
func TestLargeEvaluationsWaitForMemory(t *testing.T) {
	all := allMemory.Load()
	if err := all.Acquire(t.Context(), all.total); err != nil {
		t.Fatal(err)
	}
	if got, err := render(t, ordinary, sampleScope(), Limits{}); err != nil || got != "4" {
		t.Errorf("an ordinary one: %s, %v", got, err)
	}
	lim := Limits{}.WithDefaults()
	template, bad := NewTemplate(json.RawMessage(large), NewEvaluator(lim), lim)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, err := template.Render(ctx, sampleScope(), lim); !errors.Is(err, ErrInterrupted) {
			t.Errorf("interrupted: %s, %v", got, err)
		}
	})
	wg.Go(func() {
		if got, err := template.Render(t.Context(), sampleScope(), lim); err != nil || string(got) != "9000" {
			t.Errorf("a large one: %s, %v", got, err)
		}
	})
	cancel()
	all.Release(all.total)
	wg.Wait()
}

// Many large evaluations at once take no more than the limit, and none waits for ever.
func TestLargeEvaluationsAtOnce(t *testing.T) {
	before := allMemory.Load()
	LimitMemory(1)
	defer allMemory.Store(before)
	if total := allMemory.Load().total; total != smallestAllMemory {
		t.Errorf("the limit is %d", total)
	}
	lim := Limits{}.WithDefaults()
	template, _ := NewTemplate(json.RawMessage(`[`+large+`,`+large+`]`), NewEvaluator(lim), lim)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if got, err := template.Render(t.Context(), sampleScope(), lim); err != nil || string(got) != "[9000,9000]" {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	wg.Wait()
	if all := allMemory.Load(); !all.TryAcquire(all.total) {
		t.Error("memory was not given back")
	}
}

// What one expression reads is limited by what it takes decoded.
func TestReadsOfOneExpressionAreBounded(t *testing.T) {
	s := sampleScope()
	worst := NewValue(json.RawMessage(`[` + strings.Repeat(`{"":0},`, 149_000) + `0]`)) // 1 MiB
	for _, id := range []string{"a", "b", "c"} {
		s.nodes[id] = NodeValue{Status: schemas.NodeSucceeded, Output: worst}
	}
	if got, err := render(t, `"${size(nodes.a.output)}"`, s, Limits{}); err != nil || got != "149001" {
		t.Errorf("one: %s, %v", got, err)
	}
	_, err := render(t, `"${size(nodes.a.output) + size(nodes.b.output) + size(nodes.c.output)}"`, s, Limits{})
	if e, ok := errors.AsType[*schemas.Error](err); !ok || e.Code != schemas.CodePayloadTooLarge || !strings.Contains(e.Message, "limit") {
		t.Errorf("three: %v", err)
	}
	larger := Limits{MaxExpression: 4096, MaxBound: 4 << 20}
	when, bad := NewText("${size(nodes.a.output) + size(nodes.b.output) + size(nodes.c.output) > 0}", NewEvaluator(larger), larger)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	if yes, err := when.Bool(t.Context(), s, larger); !yes || err != nil {
		t.Errorf("three in a condition, with four times the limit: %v", err)
	}
	if _, err := when.Bool(t.Context(), s, Limits{}); err == nil {
		t.Error("three in a condition are not bounded")
	}
}
