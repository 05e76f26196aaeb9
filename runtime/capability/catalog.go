package capability

import (
	"context"
	"errors"

	"github.com/runplane/runplane/store"
)

// KindCatalog of the records of catalogs.
const KindCatalog = "catalog"

// Catalogs stores the tools that each realm listed last, so that plans can be checked before a realm has started.
type Catalogs struct{ store store.Store }

// NewCatalogs returns Catalogs in a store.
func NewCatalogs(s store.Store) *Catalogs { return &Catalogs{store: s} }

// Load reads a realm's catalog; nil if there is none.
func (c *Catalogs) Load(ctx context.Context, realm string) ([]byte, error) {
	rec, err := c.store.Get(ctx, store.Key{Kind: KindCatalog, ID: realm})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return rec.Value, err
}

// Save replaces a realm's catalog.
func (c *Catalogs) Save(ctx context.Context, realm string, catalog []byte) error {
	key := store.Key{Kind: KindCatalog, ID: realm}
	_, err := c.store.Commit(ctx, store.Batch{Puts: []store.Put{{Key: key, Value: catalog, Version: store.AnyVersion}}})
	return err
}
