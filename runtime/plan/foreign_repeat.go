package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
)

// Loops of other languages: until, while, polls and pages. A loop that checks its condition before the first round is not ours, which checks
// it after each: a while is turned around only if it reads the answer, which it cannot before.

const (
	sayRounds = "write repeat: {until: \"${…}\", every: 10s, max: 30} of the node itself: its call is made again until the condition over output holds"
	sayPages  = "all pages are repeat: {until: \"${…no cursor in output…}\", collect: \"${output.<the list>}\"}, with the cursor of the page before in the inputs, " +
		"as in cursor: \"${previous == null ? null : previous.<cursor>}\""
)

// sayBreak is about an end before the last item.
const sayBreak = "for_each runs all items of its list: filter the list, as in for_each: \"${nodes.a.output.items.filter(x, !x.done)}\"; a call that is made again " +
	"until its answer is right is repeat: {until: \"${…}\"}"

// loopFields is the part of the table that is about loops.
var loopFields = []meaning{
	{names: "until", of: "node", turn: untilOfNode},
	{names: "while do_while", of: "node", turn: whileOfNode},
	{names: "every interval poll_interval", of: "node", turn: ofLoop("every")},
	{names: "max max_iterations max_rounds max_polls", of: "node", turn: ofLoop("max")},
	{names: "collect", of: "node", turn: ofLoop("collect")},
	{names: "poll polling loop repeat_until", of: "node", turn: loopObject},
	{names: strings.Join(countWords, " "), of: "node", turn: countOfLoop},
	{names: "while", of: "repeat", turn: whileOfRepeat},
	{names: "times count iterations rounds", of: "repeat", turn: numberOfRounds},
	{names: "interval delay pause sleep wait poll_interval period", of: "repeat", to: "every"},
	{names: "max_iterations max_attempts max_rounds max_polls max_tries attempts tries limit", of: "repeat", turn: when("0\"", "max")},
	{names: "accumulate aggregate gather", of: "repeat", to: "collect"},
	{names: "condition stop_when done_when end_when", of: "repeat", to: "until"},
	{names: "on_timeout on_exhausted on_max on_limit on_error", of: "repeat",
		say: "on_error of the node says what follows when its rounds end without success (repeat_exhausted): fail, continue, suspend or compensate"},
	{names: "once", of: "node", say: "that its call may be made again though it has the effect once is said by repeat: {once: true}"},
	{names: "until while", of: "retry", say: "retry is about attempts that fail; to make a call again until its answer is right, " + sayRounds},
	{names: "pagination paginate paging paginated", of: "node", say: sayPages},
	{names: "goto", of: "node", say: "no node runs twice. " + sayRounds},
	{names: "poll polling repeat_until every max collect", of: "node", say: sayRounds},
	{names: "break break_when break_if break_on stop_when stop_if stop_on exit_when exit_if exit_on end_when end_if early_exit early_stop " +
		"stop_condition break_condition exit_condition", of: "node foreach", say: sayBreak},
}

// loopWords are fields of other languages that make a node a loop, and beside which other fields have another meaning.
var loopWords = []string{"until", "while", "do_while", "repeat_until", "poll"}

// countWords are fields that say beside a loop how often or with which pauses it runs, and elsewhere are about retries.
var countWords = []string{"retries", "max_retries", "retry_count", "attempts", "max_attempts", "max_tries", "tries", "delay", "retry_delay", "retry_interval", "backoff"}

// isCalling reports whether the node calls something, which can be repeated.
func (f *found) isCalling() bool {
	return f.has("capability") || f.has("workflow") || f.calls()
}

// besideLoop reports whether another field of the object makes it a loop.
func (f *found) besideLoop() bool {
	return slices.ContainsFunc(f.beside, func(name string) bool { return slices.Contains(loopWords, snake(name)) })
}

// ofOneCall are names of durations that say of which call they are.
var ofOneCall = []string{"attempt_timeout", "request_timeout", "call_timeout", "start_to_close_timeout"}

// bounds reports whether a field is a longest time, under whatever name.
func bounds(name string) bool {
	plain := snake(name)
	bases := []string{plain}
	for _, u := range units {
		for _, end := range u.ends {
			if base, ok := strings.CutSuffix(plain, "_"+end); ok {
				bases = append(bases, base)
			}
		}
	}
	return slices.ContainsFunc(bases, func(base string) bool {
		to := append([]string{base}, durations[base]...)[min(1, len(durations[base]))]
		return !slices.Contains(ofOneCall, base) && (base == "timeout" || to == "timeout" || to == "total_timeout")
	})
}

// ambiguous refuses a loop with fields that may be about its rounds or about the attempts of one.
func (f *found) ambiguous() bool {
	for _, name := range f.beside {
		if bounds(name) {
			return f.refused(fmt.Sprintf("with %s it may be about one call or about all rounds: write repeat: {until: \"${…}\", every, timeout}, where timeout is "+
				"the longest time of all rounds; beside repeat, timeout is that of one call", name))
		}
		if slices.Contains(countWords, snake(name)) {
			return f.refused(fmt.Sprintf("with %s it may be about rounds or about attempts that fail: how often rounds are made is repeat.max and the pause between them "+
				"repeat.every; how often a failed attempt is made again is retry.max_attempts", name))
		}
	}
	return false
}

// countOfLoop refuses a number of retries beside a loop, where it may be the number of rounds.
func countOfLoop(f *found) bool { return f.besideLoop() && f.ambiguous() }

// untilOfNode is a condition beside the call that is repeated until it holds.
func untilOfNode(f *found) bool {
	switch {
	case f.has("wait_for"):
		return f.refused("it goes into wait_for: {state: {type, key}, until}; to make a call again, " + sayRepeat)
	case !f.isCalling():
		return f.refused(sayRounds)
	}
	return f.ambiguous() || f.inside("repeat", "until", string(f.value.AppendTo(nil)))
}

// ofLoop is a field beside until or while that is one of repeat.
func ofLoop(field string) func(*found) bool {
	return func(f *found) bool {
		return (f.besideLoop() || f.has("repeat") || field == "every") && f.isCalling() && f.inside("repeat", field, string(f.value.AppendTo(nil)))
	}
}

// turnedAround is the condition until of a while; empty: it is not the same.
func (f *found) turnedAround() string {
	if f.value.Kind != '"' {
		return ""
	}
	text := conditionText(f.value)
	reads, err := document.Parse(document.Quote(text))
	if err != nil || strings.Contains(text, "${") {
		return ""
	}
	if after := expr.ReplaceWord(reads.Text(), "index", ""); after != text || !f.readsAnswerOnly(text) {
		return ""
	}
	return document.Quote("${!(" + text + ")}")
}

// readsAnswerOnly reports whether a condition reads the answer of the node, and nothing that has a value before its first round: a while over
// this is a guard of the first round too.
func (f *found) readsAnswerOnly(text string) bool {
	own := ""
	if id := f.object.Get("id"); id != nil && id.Kind == '"' {
		own = id.Text()
	}
	r, answer := expr.Rewrite(text, expr.AsWritten{}), false
	for _, p := range r.Reads {
		switch {
		case p.Root == "output", p.Root == "nodes" && own != "" && p.NodeID() == own:
			answer = true
		case snake(f.name) != "do_while" && p.Root != "previous":
			return false
		}
	}
	return r.Parsed && answer
}

// whileOfNode is a condition beside the call that is repeated while it holds.
func whileOfNode(f *found) bool {
	until := f.turnedAround()
	switch {
	case until == "" || !f.isCalling():
		return f.refused("a round follows until a condition over its answer holds, the opposite of while: " + sayRounds)
	case f.ambiguous():
		return true
	}
	return f.inside("repeat", "until", until)
}

// whileOfRepeat is the opposite of until.
func whileOfRepeat(f *found) bool {
	if until := f.turnedAround(); until != "" {
		return f.written("until", until)
	}
	return f.refused("write the opposite as until: \"${!(…)}\", which is read after each round")
}

// loopObject is a loop whose settings are in an object.
func loopObject(f *found) bool {
	if f.value.Kind != '{' || !f.isCalling() {
		return false
	}
	for _, name := range f.value.Names {
		if slices.Contains([]string{"until", "while", "condition", "stop_when", "done_when"}, snake(name)) {
			if !f.ambiguous() {
				f.becomes("repeat")
			}
			return true
		}
	}
	return false
}

// numberOfRounds is a number of rounds without a condition.
func numberOfRounds(f *found) bool {
	if n, ok := f.wholeNumber(1); ok {
		return f.refused(fmt.Sprintf("%d rounds are until: \"${index >= %d}\"; max is a limit at which the node fails", n, n-1))
	}
	return f.refused("a number of rounds is until: \"${index >= 9}\"; max is a limit at which the node fails")
}

// previousWords are what other languages call the answer of the round before, answerWords that of the round, and indexWords its number.
var (
	previousWords = []string{"prev", "previous_output", "prev_output", "last_output", "previous_result", "last_result"}
	answerWords   = []string{"result", "response", "data", "body", "self", "this", "current", "answer"}
	indexWords    = []string{"iteration", "round", "counter", "attempt", "loop_index", "iteration_index"}
)

// ofRounds reads a reference to the rounds of a node with repeat.
func (m meant) ofRounds(as expr.Reference, root string, steps []expr.Step) (expr.Reference, bool) {
	if m.may&readsRound == 0 || m.isNode(root) || m.isInput(root) {
		return as, false
	}
	as.Code = expr.CodeUnknownRoot
	as.Path.Steps = steps
	switch {
	case slices.Contains(previousWords, root):
		as.Path.Root, as.Changed, as.Say = "previous", true, root+" is written previous"
	case m.may&readsAnswer != 0 && slices.Contains(answerWords, root):
		switch member, certain := m.isMember(root, steps); {
		case member && certain:
			as.Path.Steps = append([]expr.Step{{Key: root, Index: -1}}, steps...)
		case !certain:
			as.Stuck = "the answer of the round is output: write output" + expr.StepsString(steps) + ", or output." + root + expr.StepsString(steps) +
				" where the answer has a member " + root
			return as, true
		}
		as.Path.Root, as.Changed, as.Say = "output", true, "the answer of the round is output"
	case slices.Contains(indexWords, root):
		as.Stuck = "the number of the round is index, which counts from 0"
		return as, true
	case root != "previous" && (root != "output" || m.may&readsAnswer == 0):
		return as, false
	}
	if len(as.Path.Steps) > 1 && as.Path.Steps[0].Index < 0 {
		word := as.Path.Steps[0].Key
		names, closed := m.outputShape(m.site.node).properties()
		if (word == "output" || hasWrapper(word)) && (len(names) > 0 || closed) && !slices.Contains(names, word) && slices.Contains(names, as.Path.Steps[1].Key) {
			as.Path.Steps = as.Path.Steps[1:]
			as.Say = strings.TrimPrefix(as.Say+", and "+as.Path.Root+" is the answer itself, without "+word, ", and ")
			as.Changed, as.Code = true, codeUnknownMember
		}
	}
	return as, as.Changed
}

// isMember reports whether a word for the answer of the round is a member of it, and whether this is certain.
func (m meant) isMember(word string, after []expr.Step) (member, certain bool) {
	declared := m.outputShape(m.site.node)
	names, closed := declared.properties()
	inner, known := declared.property(word)
	switch {
	case !known:
		return false, len(names) > 0 || closed || !hasWrapper(word)
	case len(after) == 0 || after[0].Index >= 0:
		return true, true
	}
	_, within := inner.property(after[0].Key)
	beside := slices.Contains(names, after[0].Key)
	return within || !beside, !within || !beside
}
