package plan

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/runplane/runplane/schemas"
)

// maxBrief bounds the JSON of the findings of an answer, in bytes: a model reads all of it.
const maxBrief = 6 << 10

// alike is what differs between two findings of one kind: names and values in quotes, expressions and numbers.
var alike = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`|\\$\\{[^}]*\\}|[0-9]+")

// Brief makes one finding of those of one kind, with all of their paths, and bounds what is left: errors go before warnings, and a last
// finding counts what is left out. Fixes stay in their order, and after one that is left out there are none, because they assume it.
func Brief(found []schemas.Finding) []schemas.Finding {
	var list []schemas.Finding
	kinds := map[string]int{}
	for _, f := range found {
		kind := string(f.Severity) + f.Code + alike.ReplaceAllString(f.Message, "")
		at, known := kinds[kind]
		switch {
		case known && len(f.Fix) == 0 && len(list[at].Fix) == 0:
			list[at].Paths = append(list[at].Paths, f.Path)
		case known && at == len(list)-1 && len(f.Fix) > 0 && len(list[at].Fix) > 0:
			list[at].Paths = append(list[at].Paths, f.Path)
			list[at].Fix = append(list[at].Fix[:len(list[at].Fix):len(list[at].Fix)], f.Fix...)
		default:
			kinds[kind] = len(list)
			list = append(list, f)
		}
	}
	return within(list, maxBrief)
}

// within keeps as many findings as fit into so many bytes of JSON: first the messages of errors, then those of warnings, then the fixes.
func within(list []schemas.Finding, most int) []schemas.Finding {
	const last = 200 // of the finding that counts the others
	left, keep, cut := most-last, make([]bool, len(list)), 0
	severity := schemas.SeverityWarning
	for _, s := range []schemas.Severity{schemas.SeverityError, schemas.SeverityWarning} {
		for i := range list {
			if list[i].Severity != s {
				continue
			}
			bare := list[i]
			bare.Fix = nil
			size := sizeOf(&bare)
			if keep[i] = size <= left; keep[i] {
				left -= size
				continue
			}
			cut += 1 + len(list[i].Paths)
			if s == schemas.SeverityError {
				severity = s
			}
		}
	}
	var out []schemas.Finding
	for i, f := range list {
		if len(f.Fix) > 0 {
			if left -= sizeOf(f.Fix); left < 0 || !keep[i] {
				f.Fix, left = nil, -1 // as are those after it
			}
		}
		if keep[i] {
			out = append(out, f)
		}
	}
	if cut == 0 {
		return out
	}
	return append(out, schemas.Finding{Severity: severity, Code: codeTooLarge, Message: fmt.Sprintf("and %d more; repair these first", cut)})
}

// sizeOf is the length of a value as JSON, with what joins it to others.
func sizeOf(v any) int {
	raw, err := json.Marshal(v)
	if err != nil { // a patch holds JSON
		panic("plan: " + err.Error())
	}
	return len(raw) + 10
}
