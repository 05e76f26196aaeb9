package expr

import (
	"io"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/runplane/runplane/schemas"
)

// Patterns take parts out of a text: regex.extract, regex.extractAll and regex.replace. They are searched here and not by
// regexp.FindAll, because a search may read far beyond what it finds: n matches may take n times the length of the text. Each search pays
// for the characters that it has read.

const (
	extractFunction    = "regex.extract"
	extractAllFunction = "regex.extractAll"
	replaceFunction    = "regex.replace"
)

func regexFunctions() []cel.EnvOption {
	none := func([]ref.Val) ref.Val { return types.NewErr("patterns are searched by metered calls") }
	texts := cel.ListType(cel.DynType)
	return []cel.EnvOption{
		overload(extractFunction, "regex_extract", cel.DynType, none, cel.StringType, cel.StringType),
		overload(extractAllFunction, "regex_extract_all", texts, none, cel.StringType, cel.StringType),
		overload(replaceFunction, "regex_replace", cel.StringType, none, cel.StringType, cel.StringType, cel.StringType),
	}
}

// finder searches a text for a pattern, again and again. The text before the place where a search begins still counts for ^ and \b.
type finder struct {
	first *schemas.Pattern
	later *schemas.Pattern // the pattern after any one character
}

func newFinder(pattern string) (*finder, error) {
	first, err := schemas.CompilePattern(pattern)
	if err != nil {
		return nil, err
	}
	later, err := schemas.CompilePattern("(?s:.)(?:" + pattern + ")")
	return &finder{first, later}, err
}

// runes reads a text and counts its characters, up to the most that are paid for.
type runes struct {
	text       string
	read, most uint64
}

// ReadRune implements io.RuneReader.
func (r *runes) ReadRune() (rune, int, error) {
	if r.text == "" || r.read > r.most {
		return 0, 0, io.EOF
	}
	c, size := utf8.DecodeRuneInString(r.text)
	r.text = r.text[size:]
	r.read++
	return c, size, nil
}

// find is the first match at a byte of the text or after it, as pairs of bytes; nil: there is none.
func (f *finder) find(text string, from int, p *payment) []int {
	pattern, start, skip := f.first, 0, 0
	if from > 0 {
		_, skip = utf8.DecodeLastRuneInString(text[:from])
		pattern, start = f.later, from-skip
	}
	size := uint64(pattern.Size()) //nolint:gosec // at least 1
	r := runes{text: text[start:], most: p.left() * pairsPerSearch / size}
	at := pattern.FindReaderSubmatchIndex(&r)
	p.pay(stepsOfSearch + r.read*size/pairsPerSearch) // ends the evaluation where the text was not read to its end for want of steps
	if at == nil {
		return nil
	}
	if from > 0 {
		_, skip = utf8.DecodeRuneInString(text[start+at[0]:])
	}
	at[0] += skip
	for i := range at {
		if at[i] >= 0 {
			at[i] += start
		}
	}
	return at
}

// all calls each for every match; matches do not overlap, and no empty one follows another match at once.
func (f *finder) all(text string, p *payment, each func(at []int)) {
	for from, end := 0, -1; from <= len(text); {
		at := f.find(text, from, p)
		if at == nil {
			return
		}
		if at[1] > at[0] || at[0] != end {
			p.pay(stepsOfMatch)
			each(at)
		}
		end = at[1]
		if from = at[1]; at[1] == at[0] {
			if from == len(text) {
				return
			}
			_, size := utf8.DecodeRuneInString(text[from:])
			from += size
		}
	}
}

const (
	stepsOfMatch   = 4
	stepsOfSearch  = 12               // however short the text is
	pairsPerSearch = pairsPerStep / 2 // of a byte and an instruction: a search keeps the places of the groups
)

// group is the first group of a match, or all of it where the pattern has none; null: the group has no part in the match.
func group(text string, at []int) ref.Val {
	if len(at) > 2 {
		at = at[2:4]
	}
	if at[0] < 0 {
		return types.NullValue
	}
	return types.String(text[at[0]:at[1]])
}

// searches are the calls that search a text; each is made for a pattern.
var searches = map[string]func(f *finder, args []ref.Val, p *payment) ref.Val{
	extractFunction: func(f *finder, args []ref.Val, p *payment) ref.Val {
		text := string(args[0].(types.String))
		if at := f.find(text, 0, p); at != nil {
			return group(text, at)
		}
		return types.NullValue
	},
	extractAllFunction: func(f *finder, args []ref.Val, p *payment) ref.Val {
		text, found := string(args[0].(types.String)), []ref.Val(nil)
		f.all(text, p, func(at []int) { found = append(found, group(text, at)) })
		return types.NewRefValList(types.DefaultTypeAdapter, found)
	},
	replaceFunction: func(f *finder, args []ref.Val, p *payment) ref.Val {
		with, err := parseReplacement(string(args[2].(types.String)), f.first.NumSubexp())
		if err != nil {
			return types.WrapErr(err)
		}
		return replaceAll(f, string(args[0].(types.String)), with, p)
	},
}

func replaceAll(f *finder, text string, with []piece, p *payment) ref.Val {
	var b strings.Builder
	last, tooLong := 0, false
	f.all(text, p, func(at []int) {
		if tooLong {
			return
		}
		before := b.Len()
		b.WriteString(text[last:at[0]])
		for _, part := range with {
			b.WriteString(part.text)
			if part.group >= 0 && at[2*part.group] >= 0 {
				b.WriteString(text[at[2*part.group]:at[2*part.group+1]])
			}
			tooLong = tooLong || b.Len() > maxText
		}
		last = at[1]
		p.pay(uint64(b.Len()-before)/bytesPerStep + uint64(len(with))) //nolint:gosec // it has grown
	})
	if tooLong || b.Len()+len(text)-last > maxText {
		return types.NewErr("regex.replace: the text would be longer than %d bytes", maxText)
	}
	b.WriteString(text[last:])
	return types.String(b.String())
}

// metered is a call that pays as it goes on, for a pattern that is known only now.
func metered(name string) func(args []ref.Val, p *payment) ref.Val {
	return func(args []ref.Val, p *payment) ref.Val {
		for _, v := range args {
			if _, ok := v.(types.String); !ok {
				return types.NewErr("no such overload: %s() with %s", name, v.Type().TypeName())
			}
		}
		f, err := newFinder(string(args[1].(types.String)))
		if err != nil {
			return types.NewErr("%s(): %v", name, err)
		}
		return searches[name](f, args, p)
	}
}

// pricePattern prices the pattern that is compiled, twice; the search pays for itself.
func pricePattern(args []ref.Val, _ uint64) uint64 { return 1 + 2*flat(args[1]) }
