package main_test

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a stranger can read: lines without tests.
const (
	maxFile   = 400
	maxRoom   = 3000
	maxFacade = 1000 // package runtime itself
)

// large are the rooms that one idea makes larger than maxRoom.
var large = []string{"plan", "realm", "engine"}

// sourceFile is one Go file that is no test.
type sourceFile struct {
	path    string // from the root of the module
	room    string // below runtime; "": runtime itself, or no room
	inHouse bool   // it lies in runtime or below
	lines   int
	imports []string
}

func TestRooms(t *testing.T) {
	files := sourceFiles(t, "../..")
	if len(files) < 200 {
		t.Fatalf("%d Go files were found", len(files))
	}
	for _, broken := range append(wrongImports(files), tooLarge(files)...) {
		t.Error(broken)
	}
}

// The table is an order: a row names rows above it alone.
func TestRoomsStandInOrder(t *testing.T) {
	var above []string
	for _, r := range rooms {
		for _, name := range r.may {
			if !slices.Contains(above, name) {
				t.Errorf("room %q may import %q, which does not stand above it in the table", r.name, name)
			}
		}
		above = append(above, r.name)
	}
}

// The rules are tried on files that break them.
func TestRoomsFindsViolations(t *testing.T) {
	file := func(room string, lines int, imports ...string) sourceFile {
		for i := range imports {
			imports[i] = module + "/runtime/" + imports[i]
		}
		return sourceFile{path: filepath.Join("runtime", room, "x.go"), room: room, inHouse: true, lines: lines, imports: imports}
	}
	for _, tt := range []struct {
		file sourceFile
		want string // part of what is said; empty: nothing
	}{
		{file("session", 10, "records", "caller"), ""},
		{file("engine", 10, "queue"), ""},
		{file("plan", 10, "plan/expr"), ""},
		{file("session", 10, "engine"), `runtime/session/x.go imports runtime/engine`},
		{file("session", 10, "engine"), `room "session" may import caller, records`},
		{file("records", 10, "session"), "imports runtime/session"},
		{file("caller", 10, "records"), `room "caller" may import no other room`},
		{file("engine", 10, "workflow"), "imports runtime/workflow"},
		{file("health", 10, ""), "imports runtime:"},
		{file("cellar", 10), `no row for room "cellar"`},
		{file("state", maxFile+1), "runtime/state/x.go has 401 lines"},
	} {
		files := []sourceFile{tt.file}
		said := strings.Join(append(wrongImports(files), tooLarge(files)...), "\n")
		if tt.want == "" && said != "" || !strings.Contains(said, tt.want) {
			t.Errorf("%+v: got %q, want %q", tt.file, said, tt.want)
		}
	}
	var many []sourceFile
	for range maxRoom/maxFile + 1 {
		many = append(many, file("state", maxFile), file("engine", maxFile), file("", maxFile/2))
	}
	want := []string{"runtime has 1600 lines without tests, at most 1000 may stand there", "runtime/state has 3200 lines without tests, at most 3000 may stand there"}
	if said := tooLarge(many); !slices.Equal(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
}

// wrongImports says which files import a room that theirs may not.
func wrongImports(files []sourceFile) (out []string) {
	may := map[string][]string{}
	for _, r := range rooms {
		may[r.name] = r.may
	}
	for _, f := range files {
		if !f.inHouse {
			continue
		}
		allowed, ok := may[f.room]
		if !ok {
			out = append(out, fmt.Sprintf("%s: no row for room %q in the table of rooms", f.path, f.room))
			continue
		}
		for _, path := range f.imports {
			rest, ours := strings.CutPrefix(path, module+"/runtime")
			if !ours || rest != "" && rest[0] != '/' {
				continue
			}
			to, _, _ := strings.Cut(strings.Trim(rest, "/"), "/")
			if to == f.room || slices.Contains(allowed, to) {
				continue
			}
			names := "no other room"
			if len(allowed) > 0 {
				names = strings.Join(allowed, ", ")
			}
			out = append(out, fmt.Sprintf("%s imports runtime%s: room %q may import %s. Let %q define the interface that it calls, or move what both need lower",
				f.path, strings.TrimSuffix(rest, "/"), f.room, names, f.room))
		}
	}
	return out
}

// tooLarge lists the files and rooms that exceed the limits of lines.
func tooLarge(files []sourceFile) (out []string) {
	lines := map[string]int{}
	for _, f := range files {
		if f.lines > maxFile {
			out = append(out, fmt.Sprintf("%s has %d lines, at most %d may stand in one file: look for the second idea", f.path, f.lines, maxFile))
		}
		if f.inHouse {
			lines[f.room] += f.lines
		}
	}
	for _, r := range rooms {
		most := maxRoom
		if r.name == "" {
			most = maxFacade
		}
		if n := lines[r.name]; n > most && !slices.Contains(large, r.name) {
			out = append(out, fmt.Sprintf("%s has %d lines without tests, at most %d may stand there", filepath.Join("runtime", r.name), n, most))
		}
	}
	slices.Sort(out)
	return out
}

// sourceFiles reads the module's Go files but tests.
func sourceFiles(t *testing.T, root string) (files []sourceFile) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || path != root && strings.HasPrefix(name, ".") && name != "..") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f := sourceFile{path: filepath.ToSlash(rel), lines: bytes.Count(src, []byte("\n"))}
		if below, ok := strings.CutPrefix(filepath.ToSlash(filepath.Dir(rel)), "runtime"); ok {
			f.inHouse = true
			f.room, _, _ = strings.Cut(strings.Trim(below, "/"), "/")
		}
		for _, s := range parsed.Imports {
			imported, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
