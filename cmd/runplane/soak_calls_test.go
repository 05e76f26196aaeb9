//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// soakCall is one kind of request that clients make besides plans; make returns what is wrong with its result.
type soakCall struct {
	name string
	make func(w *soakWorld, r *rand.Rand) string
}

var soakCalls = []soakCall{
	{"echo", func(w *soakWorld, r *rand.Rand) string {
		msg := fmt.Sprint("message ", r.Uint64())
		return w.invoke("shop", "echo", args{"msg": msg}, fmt.Sprintf("%q", msg))
	}},
	{"order that is kept", func(w *soakWorld, r *rand.Rand) string {
		return w.invoke("shop", "get_order", args{"id": anOrder(r.IntN(4))}, `"total_cents"`)
	}},
	{"realm that is killed", func(w *soakWorld, _ *rand.Rand) string {
		return w.invoke("flap", "list_orders", args{"limit": 3}, `"A-3"`, schemas.CodeUnavailable, schemas.CodeCircuitOpen)
	}},
	{"realm over HTTP, with a fallback", func(w *soakWorld, r *rand.Rand) string {
		return w.invoke("web", "get_order", args{"id": anOrder(r.IntN(40))}, `"total_cents"`)
	}},
	{"no JSON before the answer", func(w *soakWorld, _ *rand.Rand) string { return w.invoke("flood", "bad_json", nil, `"ok"`) }},
	{"flood on stderr", func(w *soakWorld, _ *rand.Rand) string {
		return w.invoke("flood", "stderr_flood", args{"lines": 2000}, `"ok"`)
	}},
	{"call that hangs", func(w *soakWorld, _ *rand.Rand) string {
		return w.invoke("stuck", "hang", nil, "", schemas.CodeTimeout)
	}},
	{"realm that does not exist", func(w *soakWorld, _ *rand.Rand) string {
		return w.invoke("absent", "echo", nil, "", schemas.CodeUnavailable)
	}},
	{"realm that never starts", func(w *soakWorld, _ *rand.Rand) string {
		return w.invoke("hung", "echo", nil, "", schemas.CodeUnavailable)
	}},
	{"tool that does not exist", func(w *soakWorld, _ *rand.Rand) string {
		return w.invoke("shop", "refnd", nil, "", schemas.CodeNotFound)
	}},
	{"plan on a realm that never starts", func(w *soakWorld, _ *rand.Rand) string {
		err := w.ask("execute_plan", args{"execution_plan": object{"plan": "v1", "nodes": []object{planNode("a", "capability", "hung.echo")}}}, nil)
		return oneOf(err, schemas.CodeUnavailable)
	}},
	{"discovery", func(w *soakWorld, _ *rand.Rand) string {
		var found struct {
			Capabilities []struct{ Realm, Name string }
		}
		if err := w.ask("discover_capabilities", args{"query": "refund money", "detail": "names"}, &found); err != nil || len(found.Capabilities) == 0 {
			return fmt.Sprint(found, err)
		}
		return ""
	}},
	{"session beyond its quota", (*soakWorld).beyondQuota},
}

// invoke calls a capability; it must answer with says in it, or fail with one of the codes. No says: it must fail.
func (w *soakWorld) invoke(realm, capability string, inputs object, says string, codes ...schemas.Code) string {
	if inputs == nil {
		inputs = object{}
	}
	var got struct{ Output schemas.Value }
	err := w.ask("invoke_capability", args{"realm": realm, "capability_name": capability, "inputs": inputs}, &got)
	switch {
	case err != nil:
		return oneOf(err, codes...)
	case says == "":
		return fmt.Sprintf("it answers %s", got.Output)
	case !strings.Contains(string(got.Output), says):
		return fmt.Sprintf("it answers %s, without %s", got.Output, says)
	}
	return ""
}

func oneOf(err error, codes ...schemas.Code) string {
	if err == nil {
		return "it succeeds"
	}
	if !slices.Contains(codes, schemas.AsError(err).Code) {
		return fmt.Sprintf("it fails with %v, and not with one of %v", err, codes)
	}
	return ""
}

// beyondQuota uses up the quota of a session, 20 calls in an hour, and makes more calls.
func (w *soakWorld) beyondQuota(*rand.Rand) string {
	var session schemas.Session
	if err := w.ask("create_session", args{"agent_id": "soak"}, &session); err != nil {
		return err.Error()
	}
	for i := range 23 {
		err := w.ask("invoke_capability", args{"realm": "shop", "capability_name": "echo", "inputs": object{"msg": "x"}, "session_id": session.SessionID}, nil)
		switch {
		case i < 20 && err != nil:
			return fmt.Sprintf("call %d of 20 that it may make: %v", i+1, err)
		case i >= 20 && oneOf(err, schemas.CodeQuotaExceeded) != "":
			return fmt.Sprintf("call %d: %s", i+1, oneOf(err, schemas.CodeQuotaExceeded))
		}
	}
	if err := w.ask("delete_session", args{"session_id": session.SessionID}, nil); err != nil {
		return err.Error()
	}
	return ""
}
