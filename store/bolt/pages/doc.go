// Package pages reads the file of a bbolt database without bbolt: page by page, with every bound checked, so that a damaged file is
// described instead of a panic, and what is whole in it can still be read. It knows buckets, keys and values and nothing of their
// meaning. Package bolt calls it before it opens a file, to check a store and to salvage one. It imports the standard library alone
// and calls no hooks.
//
// # The file
//
// A file is a sequence of pages of one size. Pages 0 and 1 are meta pages: the root page, the number of pages, the number of the
// transaction and a checksum. Transactions write them in turn, so the one with the higher number is the state of the file and the other
// one the state before. All others are branch pages (keys and the pages that begin with them), leaf pages (keys and values; the value of
// a bucket is its root page, or a small page itself) or unused. No page but the meta pages has a checksum, so the walk checks
// all that bbolt always writes alike: the number in each page's header, that elements follow each other without a gap, how many pages
// they fill, that keys ascend within the bounds of the parent, and that no page has two parents.
package pages
