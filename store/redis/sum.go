package redis

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"

	"github.com/runplane/runplane/store"
)

// castagnoli is the polynomial that processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordSum is the checksum of a record's key, terms and value. Redis keeps it with the version that the record got, since a replica of an
// earlier version writes the record and not the sum.
func recordSum(key store.Key, terms string, value []byte) string {
	var head [128]byte
	b := append(append(append(head[:0], key.Kind...), 0), key.ID...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(terms)))
	sum := crc32.Update(crc32.Checksum(append(b, terms...), castagnoli), castagnoli, value)
	var text [8]byte
	binary.BigEndian.PutUint32(head[:4], sum)
	hex.Encode(text[:], head[:4])
	return string(text[:])
}
