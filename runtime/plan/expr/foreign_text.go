package expr

import (
	"regexp"
	"strings"
)

// Spot is a place in a string that another template language would read.
type Spot struct {
	From, To int    // in the string
	Inner    string // what would be read
	Form     string // how it is written there, such as {{ }}
	Certain  bool   // nothing but a template is written like that
}

// spotForms find templates inside of a string.
var spotForms = []struct {
	form    string
	certain bool
	find    *regexp.Regexp // the first group is what is read
}{
	{"{{{ }}}", true, regexp.MustCompile(`\{\{\{\s*([^{}]+?)\s*\}\}\}`)},
	{"{{ }}", true, regexp.MustCompile(`\{\{-?\s*([^{}]+?)\s*-?\}\}`)},
	{"<% %>", true, regexp.MustCompile(`<%[=-]?\s*([^%]+?)\s*-?%>`)},
	{"{% %}", true, regexp.MustCompile(`\{%-?\s*([^%]+?)\s*-?%\}`)},
	{"<< >>", false, regexp.MustCompile(`<<\s*([A-Za-z_$][^<>\n]*?)\s*>>`)},
	{"[% %]", false, regexp.MustCompile(`\[%\s*([^%\n]+?)\s*%\]`)},
	{"$[ ]", false, regexp.MustCompile(`\$\[\s*([A-Za-z_$][^\]\n]*?)\s*\]`)},
	{"(( ))", false, regexp.MustCompile(`\(\(\s*([A-Za-z_$][\w$.-]*)\s*\)\)`)},
	{"{! }", false, regexp.MustCompile(`\{!\s*([A-Za-z_$][\w$.]*)\s*\}`)},
	{"#{ }", false, regexp.MustCompile(`[#@]\{\s*([^{}]+?)\s*\}`)},
	{"%( )s", false, regexp.MustCompile(`%\(([A-Za-z_][\w.]*)\)[sdf]`)},
	{"{ }", false, regexp.MustCompile(`\{([A-Za-z_$][\w.$-]*(?:\[[^\]{}]*\][\w.]*)*)\}`)},
	{"$( )", false, regexp.MustCompile(`\$\(([A-Za-z_][\w.-]*)\)`)},
	{"$", false, regexp.MustCompile(`\$\.?([A-Za-z_][\w-]*(?:\.[A-Za-z_]\w*|\[\d+\]|\[['"][^'"]*['"]\])*)`)},
}

// spotMarks are the bytes of which each spot has one, unless it begins with (( .
const spotMarks = "{$<%"

// Spots finds what another template language would read in a string, outside of ${…}; none overlaps another.
func Spots(s string) []Spot {
	if !strings.ContainsAny(s, spotMarks) && !strings.Contains(s, "((") || len(s) > maxSpotText {
		return nil
	}
	taken := make([]bool, len(s))
	take := func(from, to int) { // a byte of it marks a spot
		for i := from; i < to; i++ {
			taken[i] = true
		}
	}
	marks := strings.Contains(s, "((") // something is left that may begin a spot
	for i := 0; i < len(s); i++ {      // what this language reads, or takes as it is
		marks = marks || strings.IndexByte(spotMarks, s[i]) >= 0 && !strings.HasPrefix(s[i:], "${")
		if strings.HasPrefix(s[i:], "${") {
			end, ok := expressionEnd(s, i+2)
			if !ok {
				return nil // reported with the other strings
			}
			take(i, end+1)
			i = end
		}
	}
	if !marks {
		return nil
	}
	var spots []Spot
	for _, f := range spotForms {
		for _, m := range f.find.FindAllStringSubmatchIndex(s, -1) {
			before := byte(' ')
			if m[0] > 0 {
				before = s[m[0]-1]
			}
			if f.form == "$" && m[1] < len(s) && strings.IndexByte("[({", s[m[1]]) >= 0 {
				continue
			}
			if taken[m[0]] || taken[m[1]-1] || before == '$' || f.form == "$" && (isNamePart(before) || before == '\\') {
				continue
			}
			take(m[0], m[1])
			spots = append(spots, Spot{m[0], m[1], s[m[2]:m[3]], f.form, f.certain})
		}
	}
	return spots
}

// maxSpotText is the longest string that is searched for templates: what is longer is a document.
const maxSpotText = 64 << 10

// isCall reports whether the text is the name of a function and a quote in parentheses, as in @variables('x').
func isCall(text string) bool {
	name, _, ok := strings.Cut(text, "('")
	return ok && !strings.ContainsAny(name, " .<")
}

// WholeSpot reads a string that is an expression of another language as a whole: f"…" of Python, =… of n8n, a path or a comparison
// without ${…}. ok is false for any other string.
func WholeSpot(s string) (spot Spot, ok bool) {
	text := strings.TrimSpace(s)
	spot = Spot{To: len(s), Inner: text}
	switch {
	case len(text) < 3 || len(text) > 1000 || strings.Contains(text, "${") || strings.HasPrefix(text, "$("):
		return Spot{}, false
	case (text[0] == 'f' || text[0] == 'F') && isQuote(text[1]) && text[len(text)-1] == text[1]:
		spot.Form = "f\"\""
		return spot, true
	case text[0] == '@' && isCall(text): // of Azure
		spot.Inner, spot.Form = strings.TrimSuffix(strings.TrimPrefix(text[1:], "{"), "}"), "@"
		return spot, !strings.Contains(spot.Inner, "@{")
	case text[0] == '=' && text[1] != '=':
		spot.Inner, spot.Form = strings.TrimSpace(text[1:]), "="
		if inner, cut := strings.CutPrefix(spot.Inner, "{{"); cut {
			spot.Inner = strings.TrimSpace(strings.TrimSuffix(inner, "}}"))
		}
		return spot, true
	}
	t, p := parseForeign(text, 0, len(text), false)
	if strings.Contains(text, "{{") || t == nil || len(p.stuck) > 0 {
		return Spot{}, false
	}
	switch t.op {
	case ".", "[]", "[*]", "[?]":
		_, _, plain := t.chain()
		spot.Form = "bare"
		return spot, plain || text[0] == '$'
	case "==", "!=", "<", "<=", ">", ">=", "&&", "||", "?:", "()", "+", "!", "??", "filter":
		spot.Form, spot.Certain = "expression", strings.HasPrefix(text, "States.") // of Step Functions
		return spot, true
	}
	return Spot{}, false
}

// Unwrapped is what stands in the braces of another template language that are around the whole text; a text without any stays.
func Unwrapped(text string) string {
	text = strings.TrimSpace(text)
	for _, around := range [][2]string{{"{{", "}}"}, {"<%=", "%>"}, {"<%", "%>"}, {"#{", "}"}, {"@{", "}"}} {
		inner, ok := strings.CutPrefix(text, around[0])
		if inner, closed := strings.CutSuffix(inner, around[1]); ok && closed && !strings.Contains(inner, around[0]) {
			return strings.TrimSpace(inner)
		}
	}
	return text
}

// PathAsWritten reads a reference of another language: a name with constant steps. A dot before the first name, as in jq, is $.
func PathAsWritten(text string) (root string, steps []Step, ok bool) {
	text = withRoot(text)
	if t, p := parseForeign(text, 0, len(text), false); t != nil && len(p.stuck) == 0 {
		return t.chain()
	}
	return "", nil, false
}

// withRoot is a text whose dot before the first name stands for everything, as in jq and in templates of Go, with $ in front.
func withRoot(text string) string {
	if inner := strings.TrimSpace(text); len(inner) > 1 && inner[0] == '.' && isNameStart(inner[1]) {
		return "$" + inner
	}
	return text
}

// AsWritten are the names of an expression as they are written.
type AsWritten struct{}

// Reference is what was written.
func (AsWritten) Reference(root string, steps []Step) Reference {
	return Reference{Path: Path{Root: root, Steps: steps}}
}

// Type is not known.
func (AsWritten) Type(Path) string { return "" }

// Value is the text.
func (AsWritten) Value(_ Path, text string) (value, say string) { return text, "" }

// Certain is false: nothing is known of a plan.
func (AsWritten) Certain(Path) bool { return false }
