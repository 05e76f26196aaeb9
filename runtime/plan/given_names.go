package plan

import (
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// Which argument of a tool a name means that the tool does not declare.

// required are the names that an object must have.
func (s shape) required() (names []string) {
	if s.at == nil {
		return nil
	}
	if list := s.at.Get("required"); list != nil && list.Kind == '[' {
		for i := range list.Items {
			if list.Items[i].Kind == '"' {
				names = append(names, list.Items[i].Text())
			}
		}
	}
	return names
}

// sameWord is the one name that differs from a word in case and separators alone; empty: there is none.
func sameWord(word string, names []string) string {
	found := ""
	for _, name := range names {
		if name != word && fold(name) == fold(word) {
			if found != "" {
				return ""
			}
			found = name
		}
	}
	return found
}

// onlyMeant is the one of some words that another spelling means; empty: there is none, or there are several.
func onlyMeant(word string, words []string) string {
	if same := sameWord(word, words); same != "" {
		return same
	}
	return onlyMisspelt(word, words)
}

// inputShape is what the schema of a call says of its arguments.
func (c *compiler) inputShape(a arguments) shape {
	if t := c.tools[a.Name()]; t != nil && a.workflow == "" {
		return t.input
	}
	return shape{}
}

// plainAffixes are words that say nothing more before or after the name of an argument.
var plainAffixes = strings.Fields("file input the my arg param parameter target amount value text string str id data field line")

// meantArgument is the declared argument that an unknown one evidently is; empty: none is. Of two unknown names that are near the same one,
// neither is it.
func (c *compiler) meantArgument(a arguments, holder *document.Tree, parent, unknown string) string {
	at := c.inputShape(a).place(parent)
	names, _ := at.properties()
	if holder == nil || len(names) == 0 {
		return ""
	}
	required := at.required()
	free := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return holder.Get(name) != nil })
	means := func(word string) string {
		if meant := onlyMeant(word, free); meant != "" {
			return meant
		}
		found := ""
		for _, name := range free {
			if !slices.Contains(required, name) || !withAffix(word, name, a.Name()) && !aLetterOff(word, name) {
				continue
			}
			if found != "" {
				return ""
			}
			found = name
		}
		return found
	}
	meant := means(unknown)
	for _, other := range holder.Names {
		if other != unknown && !slices.Contains(names, other) && meant != "" && (means(other) == meant || shares(other, meant)) {
			return ""
		}
	}
	return meant
}

// aLetterOff reports whether a short name has one letter too many, or one that is missing or wrong.
func aLetterOff(word, name string) bool {
	return word != "" && name != "" && len(word) <= 4 && word[:1] == name[:1] && !strings.ContainsAny(word+name, "0123456789") && len(schemas.Nearest(word, []string{name}, 1)) > 0
}

// shares reports whether a name has another one as one of its words.
func shares(word, name string) bool { return slices.Contains(strings.Split(snake(word), "_"), name) }

// withAffix reports whether a word is a name with words before or after it that say nothing more: the noun of the tool, or one of a few.
func withAffix(word, name, capability string) bool {
	w, n := strings.Split(snake(word), "_"), strings.Split(snake(name), "_")
	if len(w) <= len(n) {
		return false
	}
	var rest []string
	switch {
	case slices.Equal(w[:len(n)], n):
		rest = w[len(n):]
	case slices.Equal(w[len(w)-len(n):], n):
		rest = w[:len(w)-len(n)]
	default:
		return false
	}
	nouns := strings.FieldsFunc(strings.ToLower(capability), func(r rune) bool { return strings.ContainsRune("._-", r) })
	for _, word := range rest {
		if !slices.Contains(plainAffixes, word) && !slices.Contains(nouns, word) && !slices.Contains(nouns, word+"s") {
			return false
		}
	}
	return true
}
