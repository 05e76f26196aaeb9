package plan

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// The choices of a review are buttons and not a table.
const (
	maxChoices     = 100
	maxChoiceBytes = 256
)

const (
	sayRejected = "A rejection is no choice: it is an answer to every review and fails its node, so what depends on it is skipped, and a node " +
		"with trigger_rule: one_failed follows it"
	sayChoices = "choices is a list of texts, as in choices: [\"all\", \"some\"]"
)

// choices reads a list of texts. What other languages put beside a text, such as a label, would be lost.
func (d *decoder) choices(to *[]string, v *document.Tree, at string) {
	if v.Kind != '[' {
		d.wrong(v, at, "a list of texts: "+sayChoices)
		*to = []string{unreadable}
		return
	}
	if len(v.Items) == 0 {
		d.out.errorf(codeOutOfRange, at, "choices is empty, so that nothing could be approved: name at least one, or leave choices out")
		*to = []string{unreadable}
		return
	}
	for i := range v.Items {
		item, where := &v.Items[i], schemas.PointerToItem(at, i)
		if item.Kind != '"' {
			d.out.errorf(codeWrongType, where, "a choice must be a text, got %s: %s", item.TypeName(), sayChoices)
			*to = append(*to, unreadable)
			continue
		}
		*to = append(*to, item.Text())
	}
}

// reviewSettings checks what a review asks.
func (c *compiler) reviewSettings(r *schemas.Review, at string) {
	c.missing(r.Question, "question: write it out, as in review: \"Refund ${inputs.order_id}?\"", "review", at)
	c.duration(at+"/expires", "expires", r.Expires)
	if len(r.Choices) > maxChoices {
		c.out.errorf(codeOutOfRange, at+"/choices", "%d choices (at most %d); what a person writes is data, which schema describes", len(r.Choices), maxChoices)
	}
	for i, choice := range r.Choices {
		where := schemas.PointerToItem(at+"/choices", i)
		switch {
		case choice == unreadable:
		case strings.TrimSpace(choice) == "":
			c.out.errorf(codeOutOfRange, where, "a choice is empty: write what a person chooses")
		case len(choice) > maxChoiceBytes:
			c.out.errorf(codeOutOfRange, where, "a choice has %d bytes (at most %d); explain it in the question", len(choice), maxChoiceBytes)
		case slices.Contains(r.Choices[:i], choice):
			c.out.errorf(codeOutOfRange, where, "the choice %q is there twice", choice)
		case strings.Contains(choice, "${"):
			c.out.errorf(codeNotEvaluated, where, "choices are texts as they stand, without expressions: ask with the value in the question, got %q", choice)
		}
	}
	if len(r.Schema) == 0 {
		return
	}
	if _, err := schemas.NewChecker(json.RawMessage(r.Schema)); err != nil {
		c.out.errorf(codeUnusableSchema, at+"/schema", "schema is not a JSON Schema that can be checked: %v; write for example "+
			"{type: object, properties: {cents: {type: integer}}, required: [cents]}", err)
	}
}

// refusing are the first words of choices that refuse what is asked, and alone are those that do so by themselves.
var (
	refusing = strings.Fields("reject rejected rejecting deny denied decline declined disapprove disapproved refuse refused cancel canceled cancelled abort " +
		"aborted stop don't dont never")
	refusingAlone = strings.Fields("no nope n false disagree veto")
)

// refuses reports whether a choice says that what is asked is not to be done.
func refuses(choice string) bool {
	words := strings.FieldsFunc(strings.ToLower(choice), func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' })
	if len(words) == 0 {
		return false
	}
	return slices.Contains(refusing, words[0]) || slices.Contains(refusingAlone, words[0]) && (len(words) == 1 || strings.ContainsAny(choice, ",.;:-–—")) ||
		len(words) > 1 && words[0] == "do" && (words[1] == "not" || words[1] == "nothing")
}

// refusals refuses a choice that says no if nothing of the plan reads which choice was taken: whoever takes it has approved.
func (c *compiler) refusals(n *schemas.Node, at string) {
	for i, choice := range n.Review.Choices {
		if refuses(choice) && !c.readsChoice(n.ID) {
			c.out.errorf(codeUnknownValue, schemas.PointerToItem(at, i), "the choice %q approves like the others, and nothing reads ${nodes.%s.output.choice}, so that what "+
				"depends on the review would run after it. %s: leave the choice out, or ask for it in the when of the nodes that depend on it", choice, n.ID, sayRejected)
			return
		}
	}
}

// wholeOutput is an expression that reads all that a node gave.
var wholeOutput = regexp.MustCompile(`\boutput\s*(?:[^.\s\w\[]|$)`)

// readsChoice reports whether an expression of the plan names a node and its choice, or all that it gave. Names are compared as in feeds:
// an expression that is not repaired yet counts.
func (c *compiler) readsChoice(id string) bool {
	if c.choosing == nil {
		c.choosing = map[string]bool{}
		raw, err := json.Marshal(&c.plan)
		if err != nil {
			return true
		}
		t, err := document.Parse(string(raw))
		if err != nil {
			return true
		}
		rewriteStrings(&t, "", func(at, s string) string {
			if !strings.Contains(at, "/review/") && (strings.Contains(strings.ToLower(s), "choice") || wholeOutput.MatchString(s)) {
				for _, word := range mentions.FindAllString(s, -1) {
					c.choosing[fold(word)] = true
				}
			}
			return s
		})
	}
	return c.choosing[fold(id)]
}

// reviewShape is what is known of the output of a review.
func reviewShape(r *schemas.Review) shape {
	decisions := document.Tree{Kind: '[', Items: []document.Tree{text(approved)}}
	properties := object("decision", object("type", text("string"), "enum", decisions), "comment", object(), "by", object("type", text("string")))
	if len(r.Choices) > 0 {
		choices := document.Tree{Kind: '['}
		for _, choice := range r.Choices {
			choices.Items = append(choices.Items, text(choice))
		}
		properties.Put("choice", object("type", text("string"), "enum", choices))
	}
	root := object("type", text("object"), "additionalProperties", document.Tree{Kind: 'f', Raw: "false"})
	if len(r.Schema) > 0 {
		if t, err := document.Parse(string(r.Schema)); err == nil {
			for _, definitions := range []string{"$defs", "definitions"} { // references lead to the root
				if v := t.Get(definitions); v != nil {
					root.Put(definitions, *v)
				}
			}
			properties.Put("data", t)
		}
	}
	root.Put("properties", properties)
	return shape{&root, &root}
}

// CheckAnswer checks what a person adds to the approval of a review node.
func (n *Node) CheckAnswer(choice string, data json.RawMessage) *schemas.Error {
	switch {
	case len(n.Choices) == 0 && choice != "":
		return schemas.Errorf(schemas.CodeInvalidArgument, "this review has no choices, got %q", expr.Shorten(choice)).WithField("choice")
	case len(n.Choices) > 0 && choice == "":
		return schemas.Errorf(schemas.CodeInvalidArgument, "an approval needs one of the choices %s", expr.NameList(n.Choices, 20)).
			WithField("choice").WithCandidates(n.Choices)
	case len(n.Choices) > 0 && !slices.Contains(n.Choices, choice):
		return schemas.Errorf(schemas.CodeInvalidArgument, "%q is none of the choices %s", expr.Shorten(choice), expr.NameList(n.Choices, 20)).
			WithField("choice").WithCandidates(schemas.Nearest(choice, n.Choices, 3))
	case n.form.checker == nil && len(data) > 0:
		return schemas.Errorf(schemas.CodeInvalidArgument, "this review takes no data; a comment is free text").WithField("data")
	case n.form.checker == nil:
		return nil
	case len(data) == 0:
		return schemas.Errorf(schemas.CodeInvalidArgument, "an approval needs data, by the schema of the review").WithField("data")
	}
	checker := n.form.checker()
	if checker == nil {
		return nil
	}
	if problems := checker.CheckToEnd(data); len(problems) > 0 {
		e := schemas.InvalidArguments(problems)
		return e.WithField("data" + e.Field)
	}
	return nil
}

// besideReview moves what belongs into the review of a node into it.
func (d *decoder) besideReview(v *document.Tree, at string) {
	r := v.Get("review")
	if r == nil || v.Get("capability") != nil || r.Kind != '{' && r.Kind != '"' {
		return
	}
	for _, name := range []string{"choices", "options", "schema", "form"} {
		value := v.Get(name)
		if value == nil || r.Kind == '{' && r.Get(name) != nil {
			continue
		}
		from, to := schemas.PointerTo(at, name), at+"/review"
		f := d.out.errorf(codeMisplacedField, from, "a node has no field %q: write review: {question, %s}", name, name)
		if r.Kind == '"' {
			f.Fix = []schemas.PatchOp{opReplace(to, json.RawMessage(`{"question":`+r.Raw+`}`))}
			r.Wrap("question")
		}
		f.Fix = append(f.Fix, opMove(from, schemas.PointerTo(to, name)))
		moved := *value
		v.Drop(name)
		if r = v.Get("review"); r != nil {
			r.Put(name, moved)
		}
	}
}
