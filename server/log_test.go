package server

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

func TestSlogWritesToHclog(t *testing.T) {
	log, logged := logOf(hclog.Info)
	l := slogTo(log.Named("http"))
	l.Debug("too quiet")
	l.Info("plain", "n", 1, slog.Group("g", "a", "x", "b", errInside), slog.Attr{})
	l.With("session", "s1").WithGroup("in").Error("grouped", "k", "v", slog.Group("", "inline", true))
	l.WithGroup("").Warn("odd", "alone", 1)
	for _, want := range []string{
		"[INFO]  http: plain: n=1 g.a=x g.b=\"disk /var/secret is full\"\n",
		"[ERROR] http: grouped: session=s1 in.k=v in.inline=true\n",
		"[WARN]  http: odd: alone=1\n",
	} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, logged)
		}
	}
	if strings.Contains(logged.String(), "quiet") {
		t.Errorf("the log has what is below its level:\n%s", logged)
	}
}

// An error that cannot be printed whole is printed without the part that is at fault.
func TestErrorWithAFindingThatIsNoJSON(t *testing.T) {
	e := schemas.Errorf(schemas.CodeInvalidPlan, "two findings").With(func(e *schemas.Error) {
		e.Findings = []schemas.Finding{{Code: "x", Fix: []schemas.PatchOp{{Op: "add", Path: "/a", Value: schemas.Value("{")}}}}
	})
	if got := wireError(t, result(nil, e)); got.Code != schemas.CodeInvalidPlan || got.Message != e.Message || got.Findings != nil {
		t.Errorf("got %+v", got)
	}
	if got := wireError(t, result(json.RawMessage("{}"), errors.New("secret"))); got.Code != schemas.CodeInternal || strings.Contains(got.Message, "secret") {
		t.Errorf("got %+v", got)
	}
}
