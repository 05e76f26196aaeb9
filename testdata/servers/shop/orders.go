package main

import "fmt"

// Order is one order of the shop. The data is the same in every run.
type Order struct {
	ID         string    `json:"id"`
	Customer   string    `json:"customer"`
	Status     string    `json:"status"`
	TotalCents int       `json:"total_cents"`
	Items      []Item    `json:"items"`
	Contacts   []Contact `json:"contacts"`
}

// Item is one line of an order.
type Item struct {
	SKU   string `json:"sku"`
	Qty   int    `json:"qty"`
	Cents int    `json:"cents"`
}

// Contact is a person to write to about an order.
type Contact struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

const orderCount = 40

var customers = []string{"Ada", "Grace", "Edsger", "Barbara", "Tony"}

// order makes order A-n, from.
func order(n int) Order {
	name := customers[n%len(customers)]
	o := Order{
		ID:       fmt.Sprintf("A-%d", n),
		Customer: name,
		Status:   []string{"paid", "shipped", "delivered"}[n%3],
		Items:    []Item{{SKU: fmt.Sprintf("sku-%d", n%7), Qty: 1 + n%3, Cents: 500 + 100*(n%10)}},
		Contacts: []Contact{
			{Name: name, Email: fmt.Sprintf("customer-%d@shop.example", n)},
			{Name: "Accounts", Email: "accounts@shop.example"},
		},
	}
	for _, item := range o.Items {
		o.TotalCents += item.Qty * item.Cents
	}
	return o
}

func findOrder(id string) (Order, bool) {
	for n := 1; n <= orderCount; n++ {
		if o := order(n); o.ID == id {
			return o, true
		}
	}
	return Order{}, false
}
