package realm

import (
	"fmt"
	"testing"
)

// BenchmarkSearch searches 1,000 tools of 20 realms.
func BenchmarkSearch(b *testing.B) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("realm%d.create_thing_%d: Create thing number %d of a kind, with a summary, a list of labels and people who look after item%d.",
			i%20, i, i, i))
	}
	listings, names := catalogOf(lines...)
	rank(listings, names, "warm")
	b.ReportAllocs()
	for b.Loop() {
		rank(listings, names, "add a label to a thing and people")
	}
}
