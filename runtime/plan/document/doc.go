// Package document reads YAML and JSON text into a [Tree] whose parts keep their bytes and know where they stand, and
// writes trees and strings as JSON. It owns what a document is before anything is known of its meaning: anchors and
// aliases, merge keys, duplicate keys, bounds of size and depth, lines and columns. Plans and the configuration are read
// through it, and expressions read values with it; it knows nothing of any of them.
package document
