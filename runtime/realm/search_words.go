package realm

import (
	"slices"
	"strings"
	"unicode"
)

// terms is the words of a query by which tools are found, sorted. Words that nearly every sentence has are none, unless there is no other.
func terms(query string) []string {
	all := stems(words(query))
	said := slices.DeleteFunc(slices.Clone(all), func(w string) bool { return common[w] })
	if len(said) == 0 {
		said = all
	}
	slices.Sort(said)
	return slices.Compact(said)
}

func stems(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = stem(w)
	}
	return out
}

// joined is the words of camel case in a name, unsplit: people write hubspot for HubSpot.
func joined(name string) (out []string) {
	for _, w := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(words(w)) > 1 {
			out = append(out, singular(strings.ToLower(w)))
		}
	}
	return out
}

// stem removes the commonest endings of verbs, so that the forms of one are the same word. A wrong guess is made for query and text alike.
func stem(word string) string {
	for _, ending := range []string{"ing", "ed"} {
		if rest, ok := strings.CutSuffix(word, ending); ok && len(rest) >= 4 {
			word = rest
			if n := len(word); word[n-1] == word[n-2] && !strings.ContainsRune("ls", rune(word[n-1])) {
				word = word[:n-1] // planned
			}
			break
		}
	}
	if len(word) > 4 {
		word = strings.TrimSuffix(word, "e")
	}
	return word
}

// common is words that say nothing of what is wanted.
var common = func() map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields("a an the this that these those it its my your our their me you we us i he she him her they them " +
		"of to in on at by for from with into as and or is are be was were has have do does can could will would should please how what why " +
		"which where when who whom there here some any all so up out about want need") {
		set[stem(singular(w))] = true
	}
	return set
}()

// kin is, for a word, those that mean nearly the same where people speak of tools.
var kin = func() map[string][]string {
	of := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(`
add append insert
add create log
create make new start open
create schedule plan book
delete remove drop erase clear
send post publish
get read show view retrieve fetch display
fetch download load
save store write download export upload
put upload
update change modify edit set
move rename transfer
move reschedule postpone transition
search find look lookup query
stop cancel end abort
run execute invoke call start
rerun retry restart repeat
give share grant
archive label
access permission role
picture image screenshot photo
folder directory
email mail gmail inbox
doc document
pr pull merge
meeting event appointment
bill invoice charge
money payment refund balance
ticket issue bug task
spreadsheet sheet excel
row value record
cell range
place location nearby local
weather forecast rain temperature
directions route navigate
url link website webpage web
size big large metadata
column field schema
slow explain performance
fact observation note
hour time worklog
reaction react
somebody someone person people user
machine instance server vm
folder bucket
`), "\n") {
		group := stems(words(line))
		for _, w := range group {
			for _, other := range group {
				if other != w && !slices.Contains(of[w], other) {
					of[w] = append(of[w], other)
				}
			}
		}
	}
	return of
}()
