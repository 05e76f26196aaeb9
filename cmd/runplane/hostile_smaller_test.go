//go:build linux

package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// blame finds out which of some plans kills the program alone, on a new store, and makes it smaller as long as it does.
func (w *hostileWorld) blame(plans []*hostilePlan) {
	kills := func(p *hostilePlan) bool {
		w.life.kill()
		w.fresh()
		w.work(p, false, w.life)
		select {
		case <-w.life.ended:
			return true
		default:
			return false
		}
	}
	defer func() {
		w.life.kill()
		w.fresh()
	}()
	for _, p := range plans {
		if w.blamed < 3 && kills(p) { // each takes a while, and a failed run has some of a kind
			w.blamed++
			w.problem("this alone kills it", smallest(p, kills))
			return
		}
	}
}

// smallest halves a plan as long as it stays bad.
func smallest(p *hostilePlan, bad func(*hostilePlan) bool) *hostilePlan {
	for tries := 20; tries > 0; {
		smaller := p.halves()
		i := slices.IndexFunc(smaller, func(c *hostilePlan) bool { tries--; return tries >= 0 && bad(c) })
		if i < 0 {
			break
		}
		p = smaller[i]
	}
	return p
}

// halves are plans that have one half of something less.
func (p *hostilePlan) halves() (all []*hostilePlan) {
	with := func(source any) {
		c := *p
		c.source = source
		all = append(all, &c)
	}
	plan := p.whole()
	if plan == nil {
		if lines := strings.SplitAfter(p.text(), "\n"); p.line == "" && len(lines) > 1 {
			with(strings.Join(lines[len(lines)/2:], ""))
			with(strings.Join(lines[:len(lines)/2], ""))
		}
		return all
	}
	if nodes, ok := plan["nodes"].([]any); ok && len(nodes) > 1 {
		for _, half := range [][]any{nodes[:len(nodes)/2], nodes[len(nodes)/2:]} {
			c := maps.Clone(plan)
			c["nodes"] = half
			with(c)
		}
	}
	inputs, _ := plan["inputs"].(object)
	for name, v := range inputs {
		c, i := maps.Clone(plan), maps.Clone(inputs)
		switch v := v.(type) {
		case string:
			i[name] = v[:len(v)/2]
		case []any:
			i[name] = v[:len(v)/2]
		}
		if before, now := size(v), size(i[name]); now < before {
			c["inputs"] = i
			with(c)
		}
	}
	return all
}

func size(v any) int {
	text, _ := json.Marshal(v) // made of values that have a form
	return len(text)
}
