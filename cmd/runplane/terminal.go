package main

import (
	"os"
	"slices"
)

// screen returns the size of the terminal of stderr; false: stderr is not a terminal, or one that cannot rewrite lines.
func (c *cli) screen() (rows, columns int, ok bool) {
	f, isFile := c.err.(*os.File)
	if !isFile || slices.Contains(c.sources.environ, "TERM=dumb") {
		return 0, 0, false
	}
	rows, columns, ok = windowSize(f)
	if rows == 0 || columns == 0 { // a terminal that does not know its size, as over some serial lines
		rows, columns = 24, 80
	}
	return rows, columns, ok
}
