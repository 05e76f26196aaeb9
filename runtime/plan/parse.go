package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// Parse reads a plan in JSON or YAML, or a JSON string that holds either, and brings it into canonical form: aliases
// and shorthands become warnings with the fix that writes them out. The plan is nil when nothing useful could be read;
// a plan with findings that are errors is returned for [Compile] to find the rest, and must not run. Paths of findings
// are JSON pointers into the plan; each fix assumes that the fixes of the findings before it were applied. Of a plan
// that is text of several lines findings say line and column too, those of Compile as well. If ctx ends before the text is read, the plan is
// nil and the findings say nothing about it.
func Parse(ctx context.Context, source []byte, lim Limits) (*schemas.Plan, []schemas.Finding) {
	lim = lim.filled()
	d := &decoder{lim: lim, out: findings{max: lim.MaxFindings}}
	doc := d.read(ctx, source, textsInTexts)
	if doc == nil {
		return nil, d.out.result()
	}
	if doc.Lines {
		d.out.source = origin{doc}
	}
	for _, n := range doc.Numbers() {
		d.out.warnf(codeYAMLNumber, n.Pointer, "YAML reads %s without quotes as the number %s; it is taken as the text: write it in quotes, or the number without "+
			"what JSON does not have", expr.Shorten(n.Text), n.Number).Fix = []schemas.PatchOp{opReplaceText(n.Pointer, n.Text)}
	}
	if d.unwrapped(&doc.Tree); doc.Kind != '{' {
		d.out.errorf(codeWrongType, "", "a plan is an object with nodes, in JSON or YAML, got %s", doc.TypeName())
		return nil, d.out.result()
	}
	p := d.plan(&doc.Tree)
	found := d.out.result()
	if p != nil {
		p.Source, p.Unmended = d.out.source, d.out.cut
	}
	return p, found
}

// origin is the text of a plan, whose tree was brought into canonical form.
type origin struct{ doc *document.Document }

// Place is the line and the column of what a JSON pointer leads to, or of the nearest part around it.
func (s origin) Place(pointer string) (line, column int) {
	p := s.doc.Locate(pointer)
	return p.Line, p.Column
}

// textsInTexts is how often a plan may be quoted as a text.
const textsInTexts = 3

// read reads the source; nil: it cannot be read.
func (d *decoder) read(ctx context.Context, source []byte, texts int) *document.Document {
	if len(source) > d.lim.MaxBytes {
		d.out.errorf(codeTooLarge, "", "the plan has %d bytes; at most %d are allowed", len(source), d.lim.MaxBytes)
		return nil
	}
	if trimmed := bytes.TrimSpace(source); len(trimmed) > 0 && trimmed[0] == '"' && json.Valid(trimmed) {
		if texts == 0 {
			d.out.errorf(codeWrongType, "", "the plan is text inside text; give it as an object")
			return nil
		}
		if flaw := schemas.FindFlaw(trimmed, 0); flaw != nil {
			d.out.errorf(codeSyntax, "", "byte %d of the text: %s", flaw.Offset, flaw.Text)
			return nil
		}
		if texts < textsInTexts {
			d.out.warnf(codeEnvelope, "", "the plan is text inside text; give it as an object")
		}
		return d.read(ctx, []byte(document.Unquote(string(trimmed))), texts-1)
	}
	doc, err := d.document(ctx, source)
	if err != nil {
		d.unreadable(err)
		return nil
	}
	for _, took := range doc.Loose {
		d.out.warnf(codeEnvelope, "", "%s", took)
	}
	return doc
}

// document reads the text, or the plan that stands within it.
func (d *decoder) document(ctx context.Context, source []byte) (*document.Document, error) {
	options := document.Options{MaxBytes: d.lim.MaxBytes, MaxDepth: d.lim.MaxDepth, Loose: true}
	doc, err := document.Read(ctx, source, options)
	if err == nil && isPlan(&doc.Tree) && !hasSentence(&doc.Tree) || ctx.Err() != nil {
		return doc, err
	}
	inner, took, problem := document.Unwrap(string(source), mayHold, mayBelong)
	switch {
	case problem != nil:
		return nil, problem
	case len(took) == 0:
		return doc, err
	}
	within, failed := document.Read(ctx, []byte(inner), options)
	if failed != nil {
		return nil, failed
	}
	within.Loose = append(took, within.Loose...)
	return within, nil
}

// unreadable reports a text that is not a document.
func (d *decoder) unreadable(err error) {
	var e *document.Error
	if !errors.As(err, &e) {
		d.out.errorf(codeSyntax, "", "not valid: %s", expr.OneLine(err.Error()))
		return
	}
	switch e.Kind {
	case document.Empty:
		d.out.errorf(codeEmptyPlan, "", "the plan is empty")
		return
	case document.TooDeep, document.TooLarge:
		e.Message = "the plan is " + e.Message
	}
	f := d.out.errorf(string(e.Kind), e.Path, "%s", e.Error())
	f.Line, f.Column = e.At.Line, e.At.Column
}
