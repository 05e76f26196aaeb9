package schemas

import (
	"context"
	"errors"
	"strings"
)

// maxField bounds the JSON pointer in an error: names of a document may be long.
const maxField = 1 << 10

// InvalidArguments makes one error of all problems of a call's arguments, so that the caller can correct them at once.
// Field and candidates are those of the first problem.
func InvalidArguments(problems []Problem) *Error {
	messages := make([]string, len(problems))
	for i, p := range problems {
		if p.Keyword == KeywordInterrupted {
			return interrupted(p.cause)
		}
		messages[i] = p.Message
	}
	e := Errorf(CodeInvalidArgument, "%s", strings.Join(messages, "; "))
	e.Field = Cut(problems[0].Field, maxField, Ellipsis)
	e.Candidates = problems[0].Candidates
	if len(problems) > 1 {
		e.Hint = "correct the named arguments and call again"
	}
	return e
}

// interrupted is the error of a check whose context ended first, by its cause: it says nothing about the arguments.
func interrupted(cause error) *Error {
	if e, ok := errors.AsType[*Error](cause); ok {
		return e
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return Errorf(CodeTimeout, "the time was over before the arguments were checked")
	}
	return Errorf(CodeCancelled, "the call was cancelled before its arguments were checked")
}
