"""Run with `python3 -m unittest`: the scheme as plain Python."""

import unittest

import scheme


class Settling(unittest.TestCase):
    def test_amounts_and_fee_are_the_pot_to_the_last_unit(self):
        for fee, pot, work, extra, amounts, kept in [
            (0, 100, [1, 1, 1], [0, 0, 0], [34, 33, 33], 0),
            (10_000, 1000, [3, 1], [0, 0], [743, 248], 9),
            (10_000, 1000, [3, 1], [0, -10_000], [743, 250], 7),
            (10_000, 1000, [1], [2_000_000], [0], 1000),
            (10_000, 1000, [], [], [], 1000),
            (0, 1000, [0, 0], [0, 0], [0, 0], 1000),
            (0, 2**64 - 1, [1, 1], [0, 0], [2**63, 2**63 - 1], 0),
        ]:
            with self.subTest(fee=fee, pot=pot, work=work):
                keys = list(range(len(work)))
                found = scheme.settle(fee, pot, keys, work, extra)
                self.assertEqual(found, (amounts, kept))
                self.assertEqual(sum(found[0]) + found[1], pot)

    def test_the_last_unit_goes_by_key_not_by_order(self):
        self.assertEqual(scheme.split_exact(100, [1, 1, 1], [3, 2, 1]), [33, 33, 34])


class Configuration(unittest.TestCase):
    def test_defaults_are_filled_in_and_canonical_stays(self):
        text = scheme.canonical(scheme.checked(""))
        self.assertEqual(text, '{"fee_ppm":10000}')
        self.assertEqual(scheme.canonical(scheme.checked(text)), text)

    def test_nonsense_is_refused_with_its_place(self):
        for text, at in [
            ("[]", ""),
            ("{", ""),
            ('{"fee_ppm": -1}', "/fee_ppm"),
            ('{"fee_ppm": true}', "/fee_ppm"),
            ('{"fee_ppm": 1.5}', "/fee_ppm"),
            ('{"fees": 1}', "/fees"),
        ]:
            with self.subTest(text=text), self.assertRaises(scheme.Problem) as refused:
                scheme.checked(text)
            self.assertEqual(refused.exception.at, at)


if __name__ == "__main__":
    unittest.main()
