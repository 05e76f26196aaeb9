package realm

import (
	"bytes"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// The catalog of an earlier process is used for plans but not for calls: a definition is that of the live connection.
func TestDefinitionIsOfTheLiveConnection(t *testing.T) {
	cache := &memory{}
	spec := realms("flaky", server("flaky"))
	p := run(t, Config{Realms: spec, Cache: cache})
	before, known := p.Definition(t.Context(), "flaky", "echo")
	if !known || before.Hash == "" || before.Effect != schemas.EffectRead {
		t.Fatalf("%+v %v", before, known)
	}
	eventually(t, "the catalog is saved", func() bool { saved, _ := cache.Load(t.Context(), "flaky"); return len(saved) > 0 })
	saved, _ := cache.Load(t.Context(), "flaky") // there is something, as was just seen
	changed := bytes.Replace(saved, []byte("Answer with the message."), []byte("Send the message on."), 1)
	if bytes.Equal(changed, saved) {
		t.Fatalf("the cache does not hold the tool:\n%s", saved)
	}
	if err := cache.Save(t.Context(), "flaky", changed); err != nil {
		t.Fatal(err)
	}
	again := run(t, Config{Realms: spec, Cache: cache, Lazy: true})
	if now, known := again.Definition(t.Context(), "flaky", "echo"); !known || now.Hash != before.Hash {
		t.Errorf("got %+v %v, want hash %s", now, known, before.Hash)
	}

	_, crash := invoke(t, again, "flaky", "crash", `{}`)
	wantError(t, crash, schemas.CodeUnavailable, schemas.Unknown, "")
	if now, known := again.Definition(t.Context(), "flaky", "echo"); !known || now.Hash != before.Hash {
		t.Errorf("after a restart: %+v %v", now, known)
	}
	for _, name := range [][2]string{{"flaky", "none"}, {"none", "echo"}} {
		if now, known := again.Definition(t.Context(), name[0], name[1]); known {
			t.Errorf("%v: %+v", name, now)
		}
	}
}
