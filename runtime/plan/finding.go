package plan

import (
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// The codes of findings; those of expressions are in package expr. Like error codes they are part of the wire.
const (
	codeSyntax           = "syntax_error"
	codeDuplicateKey     = "duplicate_key"
	codeTooLarge         = "too_large"
	codeTooDeep          = "too_deep"
	codeWrongType        = "wrong_type"
	codeUnknownField     = "unknown_field"
	codeIgnoredField     = "ignored_field"
	codeMisplacedField   = "misplaced_field"
	codeAlias            = "alias"
	codeEnvelope         = "envelope"
	codeYAMLNumber       = "yaml_number"
	codeAliasConflict    = "alias_conflict"
	codeMissingVersion   = "missing_version"
	codeWrongVersion     = "unsupported_version"
	codeInvalidDuration  = "invalid_duration"
	codeDurationTooLong  = "duration_too_long"
	codeOutOfRange       = "out_of_range"
	codeUnknownValue     = "unknown_value"
	codeEmptyPlan        = "empty_plan"
	codeTooManyNodes     = "too_many_nodes"
	codeTooManyRefs      = "too_many_references"
	codeOverBudget       = "over_budget"
	codeMissingID        = "missing_id"
	codeInvalidID        = "invalid_id"
	codeDuplicateID      = "duplicate_id"
	codeMissingKind      = "missing_kind"
	codeSeveralKinds     = "several_kinds"
	codeUnknownNode      = "unknown_node"
	codeUnknownWorkflow  = "unknown_workflow"
	codeSelfDependency   = "self_dependency"
	codeCycle            = "cycle"
	codeUnknownInput     = "unknown_input"
	codeUnknownMember    = "unknown_member"
	codeUnknownOutput    = "unknown_output"
	codeNotEvaluated     = "not_evaluated"
	codeForeign          = "foreign_syntax"
	codeInvalidCondition = "invalid_condition"
	codeInvalidWait      = "invalid_wait"

	codeInvalidCapability = "invalid_capability"
	codeUnknownRealm      = "unknown_realm"
	codeUnknownCapability = "unknown_capability"
	codeNoRace            = "cancels_others"
	codeMisplacedSecret   = "misplaced_secret"
	codeSecretNotAllowed  = "secret_not_allowed"
	codeNoFallback        = "policy_fallback_unknown"
	codeUnusableSchema    = "unusable_schema"
	codeUncheckedPattern  = "unchecked_pattern"
	codeMissingArgument   = "missing_argument"
	codeUnknownArgument   = "unknown_argument"
	codeWrongArgument     = "wrong_argument"
	codeLooserEffect      = "looser_effect"

	codeMissingField        = "missing_field"
	codeInvalidList         = "invalid_list"
	codeInvalidName         = "invalid_name"
	codeMisplacedRoot       = "misplaced_root"
	codeVerifyNotRead       = "verify_not_read"
	codeVerifyOutput        = "verify_output"
	codeRepeatedOnce        = "repeated_once"
	codeUnguardedPrevious   = "unguarded_previous"
	codeRetryForbidden      = "retry_forbidden"
	codeUnreachableFallback = "unreachable_fallback"
	codeNothingToCompensate = "nothing_to_compensate"
	codeOnceCompensation    = "once_compensation"
	codeWrongOperand        = "wrong_operand"
	codeMissingDependency   = "missing_dependency"
	codeLiveState           = "live_state"
	codeShortTotalTimeout   = "short_total_timeout"
)

// Bounds in bytes, since the names and values in a plan may be long.
const (
	maxPath    = 1 << 10  // of the path of a finding
	maxMessage = 2 << 10  // of its message
	maxTexts   = 24 << 10 // of the paths and messages of all errors, and of all warnings
	maxFixes   = 16 << 10 // of all fixes
)

// findings collects findings in order, errors up to a limit and warnings up to another: warnings take no place of an error.
type findings struct {
	list         []schemas.Finding
	max          int
	more         int
	errors       int
	keptErrors   kept
	keptWarnings kept
	cut          bool           // a fix was left out, so that later ones cannot be applied
	source       schemas.Source // nil: findings do not say where
}

// kept is how many findings of a severity are in the list, and the bytes of their texts.
type kept struct{ number, bytes int }

func (k kept) full(limit int) bool { return k.number >= limit || k.bytes >= maxTexts }

func (f *findings) add(severity schemas.Severity, code, path, format string, args ...any) *schemas.Finding {
	tally := &f.keptWarnings
	if severity == schemas.SeverityError {
		tally = &f.keptErrors
		f.errors++
	}
	if tally.full(f.max) {
		f.more++
		return &schemas.Finding{}
	}
	message := schemas.Cut(schemas.Format(format, args...), maxMessage, schemas.Ellipsis)
	found := schemas.Finding{Severity: severity, Code: code, Message: message}
	if f.source != nil {
		found.Line, found.Column = f.source.Place(path)
	}
	found.Path = schemas.Cut(path, maxPath, schemas.Ellipsis)
	tally.number++
	tally.bytes += len(found.Path) + len(found.Message)
	f.list = append(f.list, found)
	return &f.list[len(f.list)-1]
}

func (f *findings) errorf(code, path, format string, args ...any) *schemas.Finding {
	return f.add(schemas.SeverityError, code, path, format, args...)
}

func (f *findings) warnf(code, path, format string, args ...any) *schemas.Finding {
	return f.add(schemas.SeverityWarning, code, path, format, args...)
}

// full reports whether no more errors will be kept, so that the search may end. It goes on over warnings: they do not refuse a plan.
func (f *findings) full() bool { return f.keptErrors.full(f.max) }

// result is the list; findings over the limit are counted in a last one. A fix that repeats too much of the plan is left out.
func (f *findings) result() []schemas.Finding {
	fixes := 0
	for i := range f.list {
		size := 0
		for _, op := range f.list[i].Fix {
			size += len(op.Path) + len(op.From) + len(op.Value)
		}
		if fixes += size; fixes > maxFixes { // those after it assume it
			f.list[i].Fix, f.cut = nil, f.cut || size > 0
		}
	}
	if f.more == 0 {
		return f.list
	}
	severity := schemas.SeverityWarning
	if f.errors > 0 {
		severity = schemas.SeverityError
	}
	return append(f.list, schemas.Finding{
		Severity: severity, Code: codeTooLarge, Message: fmt.Sprintf("and %d more; repair these first", f.more),
	})
}

// nearest is a suggestion for messages, empty or `; did you mean "x"?`, and the nearest names.
func nearest(word string, names []string) (string, []string) {
	near := schemas.Nearest(word, names, 3)
	if len(near) == 0 {
		return "", nil
	}
	return fmt.Sprintf("; did you mean %q?", near[0]), near
}

// The operations of fixes.

func opReplace(path string, value json.RawMessage) schemas.PatchOp {
	return schemas.PatchOp{Op: "replace", Path: path, Value: schemas.Value(value)}
}

func opReplaceText(path, text string) schemas.PatchOp {
	return opReplace(path, json.RawMessage(document.Quote(text)))
}

func opAdd(path string, value json.RawMessage) schemas.PatchOp {
	return schemas.PatchOp{Op: "add", Path: path, Value: schemas.Value(value)}
}

func opMove(from, path string) schemas.PatchOp {
	return schemas.PatchOp{Op: "move", From: from, Path: path}
}

func opRemove(path string) schemas.PatchOp { return schemas.PatchOp{Op: "remove", Path: path} }

// CodeRealmUnavailable is the finding of a realm whose tools are not known now; the same plan may be accepted later.
const CodeRealmUnavailable = "realm_unavailable"
