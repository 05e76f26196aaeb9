package schemas

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Nearest returns up to limit of the names that may be meant by word, the nearest first and equally near ones in alphabetical
// order. Case and the difference between - and _ are ignored. A name that shares too little with word is left out, so the
// result may be empty.
func Nearest(word string, names []string, limit int) []string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	folded := foldName(word)
	for _, name := range names {
		if d, ok := nameDistance(folded, foldName(name)); ok {
			found = append(found, candidate{name, d})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var out []string
	for _, c := range found {
		if len(out) == limit {
			break
		}
		if len(out) == 0 || out[len(out)-1] != c.name {
			out = append(out, c.name)
		}
	}
	return out
}

// maxNameLength bounds the work for one pair; no valid name is longer.
const maxNameLength = 256

// nameDistance returns the distance of two folded names and whether they are near enough to be suggested: edits up to a third
// of the longer one, or one of them contained in the other.
func nameDistance(word, name string) (int, bool) {
	if word == "" || name == "" || len(word) > maxNameLength || len(name) > maxNameLength {
		return 0, false
	}
	longer := max(utf8.RuneCountInString(word), utf8.RuneCountInString(name))
	d := editDistance([]rune(word), []rune(name))
	if d <= max(1, longer/3) && d < longer {
		return d, true
	}
	if len(word) >= 3 && strings.Contains(name, word) || len(name) >= 3 && strings.Contains(word, name) {
		return longer/3 + 1, true // ranked after every typing error
	}
	return 0, false
}

func foldName(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// editDistance counts the insertions, deletions, replacements and swaps of neighbours between a and b (optimal string
// alignment).
func editDistance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// deciding are words that turn a name into its opposite, or into another one.
var deciding = []string{"not", "no", "non", "never", "dont", "skip", "stop", "fail", "except", "min", "max", "any", "all", "one", "none", "with", "without", "when", "until", "then", "else"}

// Misspelt reports whether word is evidently name with a typing error or two. A word that is only near may mean the opposite: the names have
// the same number of words, at most two edits apart, and differ in none that decides, such as not, min and max. Words with another first letter
// are other words, as are short ones: get and set, lock and unlock, import and export. So are names that differ in their digits alone.
func Misspelt(word, name string) bool {
	if strings.ReplaceAll(foldName(word), "_", "") == strings.ReplaceAll(foldName(name), "_", "") {
		return true
	}
	a, b := strings.Split(foldName(word), "_"), strings.Split(foldName(name), "_")
	if len(a) != len(b) || len(word) > maxNameLength || len(name) > maxNameLength {
		return false
	}
	edits := 0
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		if slices.Contains(deciding, a[i]) || !slip(a[i], b[i]) {
			return false
		}
		edits += editDistance([]rune(a[i]), []rune(b[i]))
	}
	return edits <= 2
}

// slip reports whether a word is another one with a typing error or two, or with another ending.
func slip(word, name string) bool {
	a, b := []rune(word), []rune(name)
	if len(a) < 3 || len(b) < 3 || a[0] != b[0] || strings.ContainsAny(word+name, "0123456789") {
		return false
	}
	for _, ending := range []string{"s", "es", "d", "ed", "ing"} {
		if word == name+ending || name == word+ending {
			return true
		}
	}
	most := 1
	if len(b) >= 8 {
		most = 2
	}
	if len(a) == 3 && len(b) == 3 { // two letters that are exchanged, but no other letter
		return a[1] == b[2] && a[2] == b[1]
	}
	return editDistance(a, b) <= most
}
