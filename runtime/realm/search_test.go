package realm

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

func TestWordsOfNames(t *testing.T) {
	for text, want := range map[string]string{
		"create_issue":          "create issue",
		"list-pull.requests":    "list pull request",
		"getHTTPServerURL":      "get http server url",
		"readFile2":             "read file2",
		"Größe in ÄPFELN":       "größe in äpfeln",
		"queries of addresses":  "query of addresse",
		"address":               "address",
		"  --__..":              "",
		"S3Bucket / s3_buckets": "s3 bucket s3 bucket",
	} {
		if got := strings.Join(words(text), " "); got != want {
			t.Errorf("%q has the words %q, want %q", text, got, want)
		}
	}
}

// catalogOf returns listings of tools given as "realm.name: description".
func catalogOf(tools ...string) (map[string]*listing, []string) {
	raw := map[string][]json.RawMessage{}
	for _, line := range tools {
		name, description, _ := strings.Cut(line, ": ")
		realm, name, _ := strings.Cut(name, ".")
		raw[realm] = append(raw[realm], json.RawMessage(fmt.Sprintf(`{"name":%q,"description":%q,"inputSchema":{"type":"object"}}`, name, description)))
	}
	listings, names := map[string]*listing{}, []string{}
	for realm, definitions := range raw {
		listings[realm] = newListing(time.Now(), definitions, DefaultLimits, func(string) schemas.Policy { return schemas.Policy{} }, hclog.NewNullLogger())
		names = append(names, realm)
	}
	slices.Sort(names)
	return listings, names
}

func TestSearchRanksTheIntendedToolFirst(t *testing.T) {
	listings, names := catalogOf(
		"github.create_issue: Open a new issue in a repository.",
		"github.list_issues: List issues of a repository.",
		"github.createPullRequest: Open a pull request.",
		"jira.create_issue: Create a ticket.",
		"mail.send_message: Send an email to a person.",
		"slack.send_message: Post a message to a channel.",
		"fs.read_file: Read a file. Use it to see what a file holds, an issue template for instance.",
		"fs.write_file: Write a file.",
		"math.calculate: Evaluate an expression.",
	)
	for query, want := range map[string][]string{
		"create issue":         {"jira.create_issue", "github.create_issue"}, // the shorter text has fewer other words
		"github issues":        {"github.list_issues", "github.create_issue"},
		"send email":           {"mail.send_message"},
		"pull request":         {"github.createPullRequest"},
		"calc":                 {"math.calculate"},
		"read a file":          {"fs.read_file"},
		"slack":                {"slack.send_message"},
		"post to the channel":  {"slack.send_message"},
		"jira.create_issue":    {"jira.create_issue"},
		"template of an issue": {"fs.read_file"},
	} {
		var got []string
		for _, m := range rank(listings, names, query) {
			got = append(got, m.realm+"."+m.name)
		}
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("%q finds %q, want first %q", query, got, want)
		}
	}
	if got := rank(listings, names, "!?"); got != nil {
		t.Errorf("a query without a word finds %d tools", len(got))
	}
}

// Among many realms, what people say finds what they mean within the first three.
func TestSearchFindsWhatPeopleMean(t *testing.T) {
	listings, names := manyRealms(t)
	if len(names) != 23 {
		t.Errorf("there are %d realms", len(names))
	}
	asked, missed := 0, 0
	for line := range strings.Lines(readTestdata(t, "search_queries.txt")) {
		query, wanted, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("no query: %q", line)
		}
		asked++
		var got []string
		for _, m := range rank(listings, names, query) {
			got = append(got, m.realm+"."+m.name)
		}
		shown := got[:min(3, len(got))]
		if !slices.ContainsFunc(strings.Fields(wanted), func(w string) bool { return slices.Contains(shown, w) }) {
			missed++
			t.Logf("%q finds %q, not %s (place %d)", query, shown, wanted, slices.Index(got, strings.Fields(wanted)[0])+1)
		}
	}
	if asked < 30 || missed*20 > asked {
		t.Errorf("%d of %d queries find what was meant", asked-missed, asked)
	}
}

// The name and the title of a server are found, and what is far behind the best is not shown.
func TestSearchShowsNothingFarBehind(t *testing.T) {
	listings, names := manyRealms(t)
	found := rank(listings, names, "hubspot")
	if len(found) != 4 || slices.ContainsFunc(found, func(m match) bool { return m.realm != "crm" }) {
		t.Errorf("the title of a server finds %d tools", len(found))
	}
	found = rank(listings, names, "refund a payment intent in stripe")
	for _, m := range found {
		if m.score*farBehind < found[0].score-farBehind {
			t.Errorf("%s.%s has %d, the best %d", m.realm, m.name, m.score, found[0].score)
		}
	}
	if len(found) == 0 || found[0].name != "create_refund" || len(found) > 10 {
		t.Errorf("found %d tools", len(found))
	}
}

func readTestdata(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// manyRealms is listings of the realms in testdata: "# realm: title", and below it "tool(arguments): description".
func manyRealms(t testing.TB) (map[string]*listing, []string) {
	t.Helper()
	listings, names, raw := map[string]*listing{}, []string{}, map[string][]json.RawMessage{}
	titles := map[string]string{}
	for line := range strings.Lines(readTestdata(t, "search_realms.txt")) {
		head, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if realm, ok := strings.CutPrefix(head, "# "); ok {
			names, titles[realm] = append(names, realm), text
			continue
		}
		name, arguments, _ := strings.Cut(strings.TrimSuffix(head, ")"), "(")
		properties := map[string]any{}
		for _, argument := range strings.FieldsFunc(arguments, func(r rune) bool { return r == ',' || r == ' ' }) {
			properties[argument] = true
		}
		definition, err := json.Marshal(map[string]any{
			"name": name, "description": text, "inputSchema": map[string]any{"type": "object", "properties": properties},
		})
		if err != nil {
			t.Fatal(err)
		}
		realm := names[len(names)-1]
		raw[realm] = append(raw[realm], definition)
	}
	for _, realm := range names {
		listings[realm] = newListing(time.Now(), raw[realm], DefaultLimits, func(string) schemas.Policy { return schemas.Policy{} }, hclog.NewNullLogger())
		listings[realm].about = titles[realm]
	}
	slices.Sort(names)
	return listings, names
}

func TestSearchBreaksTiesByName(t *testing.T) {
	listings, names := catalogOf("b.same: x", "a.same: x", "a.else: y", "c.same: x")
	for range 20 {
		var got []string
		for _, m := range rank(listings, names, "same") {
			got = append(got, m.realm)
		}
		if !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Fatalf("got %q", got)
		}
	}
}

func FuzzSearch(f *testing.F) {
	listings, names := catalogOf("a.one_two: three", "b.fourFive: six")
	for _, seed := range []string{"", "one", "FOUR five", "\xff\x00", strings.Repeat("x ", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, m := range rank(listings, names, query) {
			if m.score < 0 || strings.TrimSpace(query) != "" && m.score == 0 {
				t.Errorf("%q finds %s.%s with score %d", query, m.realm, m.name, m.score)
			}
		}
	})
}
