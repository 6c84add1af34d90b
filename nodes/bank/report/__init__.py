"""The credit report of one assessment: an HTML page and a PDF, in Chinese or English, that say the same.

facts         what a report is made of: an assessment's result, and what its model says of itself
view          every text and place on the page, decided once for both forms
wording       what is said in words, in both languages
scale         where a score stands between the grades
page, pdf     the two forms
"""
