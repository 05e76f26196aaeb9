package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis/redistest"
)

// TestShardsOfTheStore: the setting decides the layout of a Redis at its first use and is compared with it later; other stores have none.
func TestShardsOfTheStore(t *testing.T) {
	url := redistest.Standalone(t).URL()
	open := func(setting string, shards int) error {
		s, err := openStore(t.Context(), setting, shards, func(string) {})
		if err != nil {
			return err
		}
		return s.Close()
	}
	for _, shards := range []int{4, 4, 0} { // 0 takes the existing number
		if err := open(url, shards); err != nil {
			t.Errorf("%d shards: %v", shards, err)
		}
	}
	if err := open(url, 8); err == nil || !strings.Contains(err.Error(), "4") || !strings.Contains(err.Error(), "8") {
		t.Errorf("8 shards where 4 are: %v", err)
	}
	if err := open("mem:", 4); !errors.Is(err, &schemas.Error{Code: schemas.CodeInvalidArgument}) || !strings.Contains(err.Error(), "shards") {
		t.Errorf("a store without shards: %v", err)
	}
}
