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
	scale  = 1000 // scores are integers, so that they compare and print the same everywhere
)

// wholeName is the factor for a tool all of whose name is in the query.
const wholeName = 2

// Weights of the fields.
const (
	inName        = 5
	inTitle       = 3
	inRealm       = 2
	inProperty    = 1
	inDescription = 1
)

// document is a tool for the search: the weighted frequency of each word.
type document struct {
	words  map[string]float64
	length float64
}

// documents are the documents of a listing, created at the first search.
func (l *listing) documents(realm string) map[string]document {
	l.once.Do(func() {
		l.docs = make(map[string]document, len(l.names))
		for _, name := range l.names {
			l.docs[name] = newDocument(realm, l.tools[name])
		}
	})
	return l.docs
}

func newDocument(realm string, t *tool) document {
	d := document{words: map[string]float64{}}
	add := func(text string, weight float64) {
		for _, w := range words(text) {
			d.words[w] += weight
			d.length++
		}
	}
	add(realm, inRealm)
	add(t.name, inName)
	add(t.title, inTitle)
	add(t.description, inDescription)
	for _, name := range properties(t.inputSchema) {
		add(name, inProperty)
	}
	return d
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

// candidate is a tool that is being scored.
type candidate struct {
	match
	document
}

// rank sorts the tools by their score for the query, ties by realm and name, without those that have none of its words. An empty
// query matches all. names are those of the realms, sorted.
func rank(listings map[string]*listing, names []string, query string) []match {
	var all []candidate
	length := 0.0
	for _, realm := range names {
		l := listings[realm]
		if l == nil {
			continue
		}
		docs := l.documents(realm)
		for _, name := range l.names {
			all = append(all, candidate{match{realm: realm, name: name, tool: l.tools[name]}, docs[name]})
			length += docs[name].length
		}
	}
	queried := words(query)
	slices.Sort(queried)
	queried = slices.Compact(queried)
	var found []match
	if strings.TrimSpace(query) == "" {
		for _, c := range all {
			found = append(found, c.match)
		}
		return found // the names are sorted, as those of each listing are
	}
	scores, hits := make([]float64, len(all)), make([]int, len(all))
	for _, word := range queried {
		score(all, word, length/float64(len(all)), scores, hits)
	}
	for i, c := range all {
		if hits[i] == 0 {
			continue
		}
		fit := scores[i] * float64(hits[i]) / float64(len(queried)) // fewer words of the query count less
		if !slices.ContainsFunc(words(c.name), func(w string) bool { return !slices.Contains(queried, w) }) {
			fit *= wholeName
		}
		c.score = int(fit*scale + 0.5)
		found = append(found, c.match)
	}
	slices.SortFunc(found, match.compare)
	return found
}

// score adds the score of one word of the query to each candidate, and counts a hit for those that have it.
func score(all []candidate, word string, average float64, scores []float64, hits []int) {
	often := make([]float64, len(all))
	holders := 0.0
	for i, c := range all {
		if often[i] = c.frequency(word); often[i] > 0 {
			holders++
		}
	}
	rarity := math.Log(1 + (float64(len(all))-holders+0.5)/(holders+0.5))
	for i, c := range all {
		if f := often[i]; f > 0 {
			hits[i]++
			scores[i] += rarity * f * (bm25K1 + 1) / (f + bm25K1*(1-bm25B+bm25B*c.length/average))
		}
	}
}

// frequency is the weighted frequency of the word in the document, or without it of a word that begins with it, reduced.
func (d document) frequency(word string) float64 {
	if f := d.words[word]; f > 0 || len(word) < 3 {
		return f
	}
	most := 0.0
	for w, f := range d.words {
		if strings.HasPrefix(w, word) {
			most = max(most, f*prefix)
		}
	}
	return most
}
