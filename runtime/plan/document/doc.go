// Package document reads JSON text into a [Tree] that keeps the bytes of every part, and writes trees and strings as JSON.
// It owns what a document is before anything is known of its meaning; the plan language, its expressions and the
// configuration read through it. It knows nothing of any of them.
package document
