package capability

import (
	"context"
	"errors"

	"github.com/runplane/runplane/store"
)

const KindCatalog = "catalog"

// NewCatalogs keeps what realms listed last in the store, so that plans can be checked before a realm is up.
func NewCatalogs(s store.Store) *Catalogs { return &Catalogs{store: s} }

// Catalogs is the cache that [CatalogCache] makes.
type Catalogs struct{ store store.Store }

// Load reads a realm's catalog; nothing is known of a new one.
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
