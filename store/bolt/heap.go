package bolt

// heapOf is a heap.Interface over items that record their index, for heap.Fix and heap.Remove.
type heapOf[T heapItem[T]] []T

type heapItem[T any] interface {
	before(other T) bool
	setIndex(i int) // -1: removed
}

func (h heapOf[T]) Len() int           { return len(h) }
func (h heapOf[T]) Less(i, j int) bool { return h[i].before(h[j]) }

func (h heapOf[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].setIndex(i)
	h[j].setIndex(j)
}

func (h *heapOf[T]) Push(x any) {
	item := x.(T)
	item.setIndex(len(*h))
	*h = append(*h, item)
}

func (h *heapOf[T]) Pop() any {
	var none T
	last := len(*h) - 1
	item := (*h)[last]
	(*h)[last] = none
	*h = (*h)[:last]
	item.setIndex(-1)
	return item
}
