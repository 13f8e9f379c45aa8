package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// amount is a number with a unit, or without one.
var amount = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)$`)

// units are words for times that time.ParseDuration does not know, in their units.
var units = map[string]string{
	"": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "m": "m", "min": "m",
	"mins": "m", "minute": "m", "minutes": "m", "h": "h", "hr": "h", "hrs": "h", "hour": "h",
	"hours": "h", "s": "s", "ms": "ms", "d": "day", "day": "day", "days": "day", "w": "week",
	"week": "week", "weeks": "week", "y": "year", "year": "year", "years": "year",
}

// MeantDuration is the time that a text was probably meant to be; "" if that is not known.
func MeantDuration(raw string) string {
	raw = strings.TrimSpace(raw)
	if iso, ok := strings.CutPrefix(raw, "PT"); ok {
		raw = strings.ToLower(iso)
	}
	m := amount.FindStringSubmatch(raw)
	if m == nil {
		return plainDuration(strings.ReplaceAll(raw, " ", ""))
	}
	unit := units[strings.ToLower(m[2])]
	hours := map[string]int{"day": 24, "week": 7 * 24, "year": 365 * 24}[unit]
	if count, err := strconv.Atoi(m[1]); hours > 0 && err == nil && count <= 1000 {
		return fmt.Sprintf("%dh", hours*count)
	}
	return plainDuration(m[1] + unit)
}

func plainDuration(text string) string {
	if last := len(text) - 1; last > 0 && text[last] >= '0' && text[last] <= '9' {
		switch i := strings.LastIndexAny(text, "hm"); {
		case i > 0 && text[i] == 'h':
			text += "m"
		case i > 0:
			text += "s"
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return text
	}
	return ""
}

// MeantSize is the size that a text was probably meant to be; "" if that is not known.
func MeantSize(raw string) string {
	if raw == "off" || raw == "none" {
		return "0"
	}
	m := amount.FindStringSubmatch(strings.ReplaceAll(strings.ReplaceAll(raw, "_", ""), " ", ""))
	if m == nil {
		return ""
	}
	number, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return ""
	}
	unit, factor := strings.ToLower(m[2]), int64(1)
	for i, name := range []string{"", "k", "m", "g", "t"} {
		if name != "" && strings.HasPrefix(unit, name) {
			factor = 1 << (10 * i)
			unit = strings.ToUpper(name) + "iB"
		}
	}
	var s Size
	text := strconv.FormatFloat(number, 'f', -1, 64) + unit
	if whole := int64(number * float64(factor)); strings.Contains(text, ".") || unit == "TiB" {
		for i, unit := range []string{"GiB", "MiB", "KiB"} {
			if size := int64(1) << (30 - 10*i); whole > 0 && whole%size == 0 {
				text = fmt.Sprintf("%d%s", whole/size, unit)
				break
			}
		}
	}
	if s.UnmarshalText([]byte(text)) != nil {
		return ""
	}
	return text
}
