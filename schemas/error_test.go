package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEveryCodeHasAHint(t *testing.T) {
	if len(Codes()) < 20 {
		t.Fatalf("only %d codes", len(Codes()))
	}
	for _, code := range Codes() {
		e := Errorf(code, "it happened to %q", "web")
		if e.Hint == "" || e.Message != `it happened to "web"` || e.Retryable != code.Retryable() || !code.Valid() {
			t.Errorf("%s: %+v", code, e)
		}
	}
	if Code("nonsense").Valid() || Code("nonsense").Retryable() {
		t.Error("an unknown code counts as known")
	}
}

func TestErrorPrintsForReaders(t *testing.T) {
	e := Errorf(CodeNotFound, `no capability "serach" in realm "web"`).WithHint("look at %s", "discover_capabilities")
	if got, want := e.Error(), `not_found: no capability "serach" in realm "web" (look at discover_capabilities)`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (&Error{Code: CodeDenied, Message: "no"}).Error(), "denied: no"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorCopiesBeforeItChanges(t *testing.T) {
	base := Errorf(CodeRateLimited, "too fast")
	before := *base
	changed := base.WithField("inputs").WithHint("slower").WithRetryAfter(1500 * time.Millisecond).WithCandidates([]string{"web"})
	if !reflect.DeepEqual(*base, before) {
		t.Errorf("the original changed: %+v", base)
	}
	if changed.Field != "inputs" || changed.RetryAfterSeconds != 1.5 || changed.Candidates[0] != "web" || !strings.Contains(changed.Hint, `"web"`) {
		t.Errorf("got %+v", changed)
	}
}

func TestErrorsAreFoundInChains(t *testing.T) {
	conflict := Errorf(CodeConflict, "version 3 is gone")
	wrapped := fmt.Errorf("set state: %w", conflict)
	if AsError(wrapped) != conflict {
		t.Error("AsError does not find the wrapped error")
	}
	if !errors.Is(wrapped, &Error{Code: CodeConflict}) || errors.Is(wrapped, &Error{Code: CodeDenied}) {
		t.Error("errors.Is does not match by code")
	}
	if AsError(nil) != nil {
		t.Error("no error becomes one")
	}
	foreign := AsError(errors.New("dial tcp 10.0.0.7: password hunter2"))
	b, _ := json.Marshal(foreign)
	if foreign.Code != CodeInternal || strings.Contains(string(b), "hunter2") {
		t.Errorf("foreign internals reach the wire: %s", b)
	}
}
