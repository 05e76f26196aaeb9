package journal

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/runplane/runplane/schemas"
)

func TestPointerNamesAnElementByItsNumberAlone(t *testing.T) {
	for _, pointer := range []string{"/1x", "/01", "/+1", "/-1", "/3", "/", "/1 "} {
		if got, err := atPointer(json.RawMessage(`[5,6,7]`), pointer); !errors.Is(err, &schemas.Error{Code: schemas.CodeInvalidArgument}) {
			t.Errorf("%q: %s %v", pointer, got, err)
		}
	}
}

func TestPointerReachesWhatItNames(t *testing.T) {
	raw := json.RawMessage(`{"items":[{"name":"a","~/":1},[2,3]],"":4,"n":null}`)
	for pointer, want := range map[string]string{
		"": string(raw), "/items/0/name": `"a"`, "/items/0/~0~1": `1`, "/items/1/1": `3`, "/": `4`, "/n": `null`, "/items/1": `[2,3]`,
	} {
		if got, err := atPointer(raw, pointer); err != nil || string(got) != want {
			t.Errorf("%q: %s, %v, want %s", pointer, got, err, want)
		}
	}
	for _, pointer := range []string{"items", "/nope", "/items/2", "/n/x", "/items/0/name/x"} {
		if got, err := atPointer(raw, pointer); !errors.Is(err, &schemas.Error{Code: schemas.CodeInvalidArgument}) {
			t.Errorf("%q: %s %v", pointer, got, err)
		}
	}
	_, err := atPointer(raw, "/itms")
	if e := schemas.AsError(err); len(e.Candidates) != 1 || e.Candidates[0] != "items" {
		t.Errorf("candidates %v", e.Candidates)
	}
}
