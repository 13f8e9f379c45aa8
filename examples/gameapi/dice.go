package main

import (
	"math/rand/v2"
	"regexp"
	"strconv"
)

// dice are count dice of sides each, and a number added to their sum.
type dice struct{ count, sides, plus int }

// parseDice reads the players' notation: d20, 2d6, 4d8-1.
func parseDice(s string) (dice, error) {
	m := regexp.MustCompile(`^(\d{0,3})d(\d{1,4})([+-]\d{1,4})?$`).FindStringSubmatch(s)
	if m == nil {
		return dice{}, invalid("dice are written like 2d6+3")
	}
	// The pattern admits only numbers that Atoi accepts, and "", which is 0.
	d := dice{count: 1}
	if m[1] != "" {
		d.count, _ = strconv.Atoi(m[1])
	}
	d.sides, _ = strconv.Atoi(m[2])
	d.plus, _ = strconv.Atoi(m[3])
	if d.count < 1 || d.count > 100 || d.sides < 2 {
		return dice{}, invalid("1 to 100 dice of 2 or more sides")
	}
	return d, nil
}

// roll returns what each die shows and the total.
func (d dice) roll(intN func(int) int) (shown []int, total int) {
	total = d.plus
	for range d.count {
		n := 1 + intN(d.sides)
		shown, total = append(shown, n), total+n
	}
	return shown, total
}

func (d dice) rollNow() (shown []int, total int) { return d.roll(rand.IntN) }
