package realm

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Search ranks by BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009) over weighted fields, where a word
// counts as often as the weight of its field.
const (
	bm25K1 = 1.2  // how soon further occurrences of a word count less
	bm25B  = 0.6  // how much a long text counts less
	prefix = 0.4  // weight of a word of which the query word is only a prefix
	akin   = 0.5  // weight of a word that means nearly the same as the query word
	scale  = 1000 // scores are integers, so that they compare and print the same everywhere
)

// A tool whose score is less than the best one divided by farBehind is not shown.
const farBehind = 3

// wholeName is the factor for a tool all of whose name is in the query.
const wholeName = 2

// Weights of the fields.
const (
	inName        = 5
	inTitle       = 3
	inRealm       = 2 // of the realm's name, and of the name and title of its server
	inProperty    = 1
	inDescription = 1
)

// index is the tools of a listing for the search, by their place in its names.
type index struct {
	words   map[string][]posting
	sorted  []string   // the words
	lengths []float64  // of the texts of each tool, in words
	length  float64    // of all of them
	names   [][]string // the words of each name
}

// posting is the weighted frequency of a word in a tool.
type posting struct {
	tool int
	sum  float64
}

// searchable is the index of the listing, made at the first search.
func (l *listing) searchable(realm string) *index {
	l.once.Do(func() {
		x := &index{words: map[string][]posting{}, lengths: make([]float64, len(l.names)), names: make([][]string, len(l.names))}
		about := append(words(realm+" "+l.about), joined(l.about)...)
		for i, name := range l.names {
			t := l.tools[name]
			x.add(i, about, inRealm)
			x.names[i] = stems(words(name))
			x.add(i, words(name), inName)
			x.add(i, words(t.title), inTitle)
			x.add(i, words(t.description), inDescription)
			for _, p := range properties(t.inputSchema) {
				x.add(i, words(p), inProperty)
			}
		}
		x.sorted = slices.Sorted(maps.Keys(x.words))
		l.index = x
	})
	return l.index
}

func (x *index) add(i int, words []string, weight float64) {
	for _, w := range words {
		w = stem(w)
		list := x.words[w]
		if n := len(list); n > 0 && list[n-1].tool == i {
			list[n-1].sum += weight
		} else {
			x.words[w] = append(list, posting{i, weight})
		}
		x.lengths[i]++
		x.length++
	}
}

// frequencies sets the weighted frequency of a term of the query in each tool, that of its word, or reduced of one that begins with it, and
// adds those that mean nearly the same, but no more for each than a word of the description. It returns how many tools have any.
func (x *index) frequencies(term string, often []float64) (holders int) {
	clear(often)
	take := func(word string, weight float64) {
		for _, p := range x.words[word] {
			if often[p.tool] == 0 {
				holders++
			}
			often[p.tool] = max(often[p.tool], p.sum*weight)
		}
	}
	take(term, 1)
	if len(term) >= 3 {
		for at, _ := slices.BinarySearch(x.sorted, term); at < len(x.sorted) && strings.HasPrefix(x.sorted[at], term); at++ {
			if x.sorted[at] != term {
				take(x.sorted[at], prefix)
			}
		}
	}
	for _, other := range kin[term] {
		for _, p := range x.words[other] {
			if often[p.tool] == 0 {
				holders++
			}
			often[p.tool] += min(p.sum*akin, inDescription)
		}
	}
	return holders
}

// properties is the names of the top-level properties of a schema.
func properties(schema json.RawMessage) []string {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.Properties))
}

// words splits a text at characters that are not letters or digits and at the words of camel case, and returns them in lower
// case and the singular.
func words(text string) (out []string) {
	runes := []rune(text)
	begin := 0
	flush := func(end int) {
		if end > begin {
			out = append(out, singular(strings.ToLower(string(runes[begin:end]))))
		}
		begin = end
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush(i)
			begin = i + 1
		case i > begin && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			flush(i)
		}
	}
	flush(len(runes))
	return out
}

// singular removes the commonest plural endings; a wrong guess is made for query and text alike, and so still matches.
func singular(word string) string {
	switch {
	case len(word) > 4 && strings.HasSuffix(word, "ies"):
		return word[:len(word)-3] + "y"
	case len(word) > 3 && strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss"):
		return word[:len(word)-1]
	}
	return word
}

// match is a found tool with its score.
type match struct {
	score int // higher is better
	realm string
	name  string
	tool  *tool
}

// rank sorts the tools by their score for the query, ties by realm and name, without those that have none of its words or are far behind
// the best. An empty query matches all. names are those of the realms, sorted.
func rank(listings map[string]*listing, names []string, query string) []match {
	all := []match(nil)
	var indexes []*index
	blank := strings.TrimSpace(query) == ""
	length := 0.0
	for _, realm := range names {
		l := listings[realm]
		if l == nil {
			continue
		}
		for _, name := range l.names {
			all = append(all, match{realm: realm, name: name, tool: l.tools[name]})
		}
		if !blank {
			x := l.searchable(realm)
			indexes, length = append(indexes, x), length+x.length
		}
	}
	if blank {
		return all // the names are sorted, as those of each listing are
	}
	terms := terms(query)
	if len(terms) == 0 {
		return nil
	}
	scores := fit(indexes, terms, len(all), length/float64(max(len(all), 1)))
	best := slices.Max(append(scores, 0))
	found := all[:0]
	for i, m := range all {
		if m.score = int(scores[i]*scale + 0.5); m.score > 0 && scores[i]*farBehind >= best {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, match.compare)
	return slices.Clip(found)
}

// fit is the score of each of n tools for the terms. average is the mean length of their texts.
func fit(indexes []*index, terms []string, n int, average float64) []float64 {
	scores, covered, often := make([]float64, n), make([]float64, n), make([]float64, n)
	asked := 0.0
	for _, term := range terms {
		at, holders := 0, 0
		for _, x := range indexes {
			holders += x.frequencies(term, often[at:at+len(x.lengths)])
			at += len(x.lengths)
		}
		if holders == 0 {
			continue // it says nothing of any
		}
		rarity := math.Log(1 + (float64(n-holders)+0.5)/(float64(holders)+0.5))
		asked += rarity
		i := 0
		for _, x := range indexes {
			for _, length := range x.lengths {
				if f := often[i]; f > 0 {
					covered[i] += rarity
					scores[i] += rarity * f * (bm25K1 + 1) / (f + bm25K1*(1-bm25B+bm25B*length/average))
				}
				i++
			}
		}
	}
	i := 0
	for _, x := range indexes {
		for _, name := range x.names {
			if covered[i] > 0 {
				scores[i] *= covered[i] / asked // a tool that has fewer words of the query counts less
			}
			if !slices.ContainsFunc(name, func(w string) bool { return !slices.Contains(terms, w) }) {
				scores[i] *= wholeName
			}
			i++
		}
	}
	return scores
}
