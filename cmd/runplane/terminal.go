package main

import (
	"os"
	"slices"
)

// screen is how many rows and columns a person sees of stderr; false: nobody looks, or the terminal cannot rewrite lines.
func (c *cli) screen() (rows, columns int, ok bool) {
	f, isFile := c.err.(*os.File)
	if !isFile || slices.Contains(c.sources.environ, "TERM=dumb") {
		return 0, 0, false
	}
	rows, columns, ok = windowSize(f)
	if rows == 0 || columns == 0 { // a terminal that does not know, as over some serial lines
		rows, columns = 24, 80
	}
	return rows, columns, ok
}
