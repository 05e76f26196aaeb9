package bolt

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt/pages"
)

// survey reads a whole file without bbolt.
type survey struct {
	in    *pages.File
	deep  bool                                       // bodies too
	visit func(b *bucket, key []byte, e entry) error // each entry that is as it was written; its body only if deep
	skip  func(b *bucket, f *Finding)                // each that is not

	progress func(entries int) // after each few thousand entries

	entries  int
	findings []Finding
	format   string
	unsealed bool
	has      map[string]bool // buckets
}

// Finding is something that is not as it was written.
type Finding struct {
	What   string    `json:"what"`
	Bucket string    `json:"bucket,omitempty"`
	Page   uint64    `json:"page,omitempty"`
	Key    store.Key `json:"-"` // zero: unknown, or more than one
	Kind   string    `json:"kind,omitempty"`
	ID     string    `json:"id,omitempty"`
	Lost   bool      `json:"lost"` // something cannot be read
}

// String describes the finding in a line.
func (f *Finding) String() string {
	if f.Key != (store.Key{}) {
		return fmt.Sprintf("%s %s %s: %s", f.Bucket, f.Key.Kind, f.Key.ID, f.What)
	}
	return f.What
}

func (v *survey) find(f Finding) {
	f.Kind, f.ID = f.Key.Kind, strings.ToValidUTF8(f.Key.ID, "?")
	v.findings = append(v.findings, f)
}

// run reads the file. An error is of the format, or of a visit; what is damaged is in the findings.
func (v *survey) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	v.has = map[string]bool{}
	byName := map[string]*bucket{}
	for _, b := range buckets {
		byName[string(b.name)] = b
	}
	err = v.in.Walk(pages.Visit{
		Bucket: func(name string) error {
			v.has[name] = true
			if byName[name] == nil && name != string(aboutBucket) {
				v.find(Finding{Bucket: name, What: fmt.Sprintf("there is no bucket %q in a store", name), Lost: true})
			}
			return nil
		},
		Entry: func(name string, key []byte, value pages.Value) error {
			if b := byName[name]; b != nil {
				return v.entry(b, key, value)
			}
			if name == string(aboutBucket) {
				return v.about(key, value)
			}
			return nil
		},
		Damage: func(d pages.Damage) error {
			v.find(Finding{What: d.Error() + between(&d), Bucket: d.Bucket, Page: d.Page, Lost: d.Lost})
			return nil
		},
	})
	if err != nil {
		return err
	}
	v.checkBuckets()
	return nil
}

// about reads an entry of the bucket about.
func (v *survey) about(key []byte, value pages.Value) error {
	b, err := value.Bytes()
	switch {
	case err != nil:
		v.find(Finding{Bucket: string(aboutBucket), What: fmt.Sprintf("about %q: %v", key, err)})
	case bytes.Equal(key, formatKey):
		if v.format = string(b); v.format != format && v.format != formatUnsealed {
			return unknownFormat(v.format)
		}
		v.unsealed = v.unsealed || v.format == formatUnsealed
	case bytes.Equal(key, clockKey):
		if _, err := openSeen(b); err != nil {
			v.find(Finding{Bucket: string(aboutBucket), What: "the time that the store has seen is not what was written"})
		}
	case bytes.Equal(key, unsealedKey) && string(b) == "1":
		v.unsealed = true
	default:
		v.find(Finding{Bucket: string(aboutBucket), What: fmt.Sprintf("about %q is not known", key)})
	}
	return nil
}

// checkBuckets notes what every store has and this one has not. A file without any bucket is a store that was not made yet.
func (v *survey) checkBuckets() {
	if len(v.has) == 0 && len(v.findings) == 0 {
		return
	}
	if v.format == "" {
		v.find(Finding{Bucket: string(aboutBucket), What: "nothing says which format the store has", Lost: true})
	}
	for _, b := range buckets {
		if !v.has[string(b.name)] {
			v.find(Finding{Bucket: string(b.name), What: fmt.Sprintf("bucket %q is missing", b.name), Lost: true})
		}
	}
}

// progressEvery is after how many entries survey.progress is called.
const progressEvery = 4096

// entry checks one entry.
func (v *survey) entry(b *bucket, key []byte, value pages.Value) error {
	if v.entries++; v.entries%progressEvery == 0 && v.progress != nil {
		v.progress(v.entries)
	}
	e, err := v.openEntry(b, key, value)
	if err == nil && v.deep {
		err = b.checkBody(e)
	}
	if err != nil {
		f := Finding{Bucket: string(b.name), Key: keyOf(b, key), What: "it is not what was written", Lost: true}
		if v.skip != nil {
			v.skip(b, &f)
		}
		v.find(f)
		return nil
	}
	if v.visit == nil {
		return nil
	}
	return v.visit(b, key, e)
}

// headFirst is how much of a value is read to find its head.
const headFirst = 512

// openEntry checks the seal of an entry; without deep it reads only the head of one that is sealed.
func (v *survey) openEntry(b *bucket, key []byte, value pages.Value) (entry, error) {
	if v.deep || value.Size <= headFirst {
		all, err := value.Bytes()
		if err != nil {
			return entry{}, errDamaged
		}
		return b.open(key, all, v.unsealed)
	}
	head, err := value.Head(headFirst)
	if err != nil {
		return entry{}, errDamaged
	}
	size, ok := b.head(head[sealSize:])
	if ok && sealSize+size <= value.Size-sumSize {
		if head, err = value.Head(sealSize + size); err != nil {
			return entry{}, errDamaged
		}
		if e, ok := b.parse(key, head); ok && head[0] == sealMark {
			return e, nil
		}
	}
	if !v.unsealed {
		return entry{}, errDamaged
	}
	all, err := value.Bytes()
	if err != nil {
		return entry{}, errDamaged
	}
	return b.open(key, all, true)
}

// keyOf is the key that an entry belongs to; zero: it cannot be told.
func keyOf(b *bucket, key []byte) store.Key {
	kind, rest, ok := bytes.Cut(key, []byte{0})
	if b == expiriesBucket {
		if len(key) < 8 {
			return store.Key{}
		}
		kind, rest, ok = bytes.Cut(key[8:], []byte{0})
	}
	var id []byte
	switch b {
	case recordsBucket, wakesBucket, expiriesBucket:
		id = rest
	case dueBucket:
		if len(rest) < 8 {
			return store.Key{}
		}
		id = rest[8:]
	case termsBucket, logsBucket:
		first, second, err := cutSized(rest)
		if err != nil {
			return store.Key{}
		}
		if id = first; b == termsBucket {
			id = second
		}
	}
	k := store.Key{Kind: string(kind), ID: string(id)}
	if !ok || k.Valid() != nil {
		return store.Key{}
	}
	return k
}

// between names the keys that damage has cost.
func between(d *pages.Damage) string {
	if !d.Lost || d.Low == nil && d.High == nil {
		return ""
	}
	text := ": keys"
	if d.Low != nil {
		text += fmt.Sprintf(" from %q", d.Low)
	}
	if d.High != nil {
		text += fmt.Sprintf(" to %q", d.High)
	}
	return text
}
