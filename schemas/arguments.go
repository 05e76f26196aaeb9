package schemas

import "strings"

// maxField bounds the JSON pointer in an error: names of a document may be long.
const maxField = 1 << 10

// InvalidArguments makes one error of all problems of a call's arguments, so that the caller can correct them at once.
// Field and candidates are those of the first problem.
func InvalidArguments(problems []Problem) *Error {
	messages := make([]string, len(problems))
	for i, p := range problems {
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
